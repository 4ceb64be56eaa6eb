// Requests to the library's server.

/** A response that is a problem document; its sentence may be shown as it is. */
export class Problem extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Return what is at a path of the API. */
export function get(path, parameters = {}, signal = undefined) {
  return request("GET", withQuery(path, parameters), undefined, signal);
}

/** Send something to a path of the API; return what comes back. */
export function send(method, path, body = undefined) {
  return request(method, path, body);
}

/** Return the address of a path with those parameters that have a value. */
function withQuery(path, parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(pairs).toString();
  return query ? `${path}?${query}` : path;
}

/** The address of a track's "audio" or "cover". */
export function addressOf(id, part) {
  return `api/tracks/${id}/${part}`;
}

async function request(method, path, body, signal) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const content = body === undefined ? undefined : JSON.stringify(body);
  let response;
  try {
    response = await fetch(`api/${path}`, { method, headers, body: content, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the program does not respond; is it still running?");
  }
  const fields = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, fields.detail || fields.title || `status ${response.status}`);
  return fields;
}
