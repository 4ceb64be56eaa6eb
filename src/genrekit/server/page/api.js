// Requests to the server. The page of `genrekit serve --static` has another one.

const BUSY_SECONDS = 2;
let key = "";

/** A response that is a problem document; status 401 needs the server's key. */
export class Problem extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export function useKey(value) {
  key = value;
}

/** Return the JSON form of a file's Prediction, with its spectrogram and its timeline. */
export async function predict(file, minPrecision, model) {
  const precision = minPrecision ? `&min_precision=${minPrecision}` : "";
  return send(`v1/predict?include=spectrogram,timeline${precision}${named(model)}`, file);
}

/** Return the JSON form of a file's Explanation; its evidence is there for every genre. */
export async function explain(file, genre, model) {
  return send(`v1/explain?genre=${encodeURIComponent(genre)}${named(model)}`, file);
}

/** Return the models of this server, the default first. */
export async function models() {
  return (await resultOf(await fetch("v1/models", { headers: withKey({}) }))).models;
}

function named(model) {
  return model ? `&model=${encodeURIComponent(model)}` : "";
}

async function send(path, file) {
  const name = encodeURIComponent((file.name || "recording").slice(0, 200));
  const headers = { "Content-Type": "application/octet-stream" };
  const request = { method: "POST", headers: withKey(headers), body: file };
  return resultOf(await patient(`${path}&filename=${name}`, request));
}

function withKey(headers) {
  return key ? { ...headers, "X-API-Key": key } : headers;
}

/** Repeat a request while the server is busy. */
async function patient(path, request) {
  for (;;) {
    const response = await fetch(path, request);
    if (response.status !== 503) return response;
    await pause(Number(response.headers.get("Retry-After")) || BUSY_SECONDS);
  }
}

/** Wait for a job where one was made of a long file; raise a Problem for anything but a result. */
async function resultOf(response) {
  const fields = await response.json().catch(() => ({ detail: "the server sent no result" }));
  if (response.status === 202) {
    await pause(1);
    return jobAt(new URL(response.headers.get("Location"), response.url));
  }
  if (!response.ok) throw new Problem(response.status, fields.detail || fields.title);
  return fields;
}

async function jobAt(url) {
  for (;;) {
    const response = await fetch(url, { headers: withKey({}) });
    const job = await response.json();
    if (!response.ok) throw new Problem(response.status, job.detail || job.title);
    if (job.result) return job.result;
    if (job.problem) throw new Problem(job.problem.status, job.problem.detail);
    await pause(1);
  }
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
