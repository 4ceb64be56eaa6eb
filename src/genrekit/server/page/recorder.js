// Record from the microphone: one button that starts and stops.

export class Recorder {
  constructor(button, onFile, onProblem) {
    this.button = button;
    this.onFile = onFile;
    button.hidden = !navigator.mediaDevices || !window.MediaRecorder;
    button.addEventListener("click", () => (this.recorder ? this.recorder.stop() : this.#start(onProblem)));
  }

  async #start(onProblem) {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      onProblem("No microphone: allow it in the browser, or choose a file.");
      return;
    }
    const parts = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    this.recorder.addEventListener("stop", () => {
      stream.getTracks().forEach((track) => track.stop());
      const type = this.recorder.mimeType;
      const suffix = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
      this.#show(false);
      this.recorder = null;
      this.onFile(new File(parts, `recording.${suffix}`, { type }));
    });
    this.recorder.start();
    this.#show(true);
  }

  #show(isRecording) {
    this.button.textContent = isRecording ? "Stop recording" : "Record";
    this.button.classList.toggle("recording", isRecording);
  }
}
