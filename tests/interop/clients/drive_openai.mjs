// The realtime client of OpenAI's package for node: `node drive_openai.mjs FOLDER URL
// MODE FILE...`, where FOLDER is that of the package, and each file holds PCM16, 24 kHz.
//
// manual: a commit behind each clip; server: the server's voice activity detection;
// both: the second clip is spoken before the text of the first has come.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [, , folder, url, mode, ...files] = process.argv;
const MODEL = "gpt-4o-transcribe";
const RATE = 24000;
const CHUNK = 100; // ms
const PAUSE = 1.2; // s of silence behind each clip
const PATIENCE = 20000; // ms for each text

const require = createRequire(join(folder, "package.json"));
const { OpenAI } = require("openai");
const { OpenAIRealtimeWS } = require("openai/realtime/ws");
const released = JSON.parse(readFileSync(join(folder, "node_modules/openai/package.json")));

const client = new OpenAI({ apiKey: process.env.CLIENTS_KEY, baseURL: `${url}/v1` });
const live = new OpenAIRealtimeWS({ model: MODEL }, client);
const kinds = [];
const order = []; // the items, as they were committed
const texts = new Map();
const errors = [];
let wake = () => {};

live.on("event", (event) => {
  kinds.push(event.type);
  if (event.type === "input_audio_buffer.committed") order.push(event.item_id);
  if (event.type === "conversation.item.input_audio_transcription.completed")
    texts.set(event.item_id, event.transcript);
  wake();
});
live.on("error", (error) => {
  errors.push({ message: error.message, code: error.error?.code });
  wake();
});

async function until(condition, what) {
  const deadline = Date.now() + PATIENCE;
  while (!condition()) {
    if (errors.length) throw new Error(JSON.stringify(errors));
    if (Date.now() > deadline) throw new Error(`no ${what}`);
    await Promise.race([new Promise((resolve) => (wake = resolve)), sleep(200)]);
  }
}

async function speak(pcm) {
  const size = (2 * RATE * CHUNK) / 1000;
  const begin = performance.now();
  for (let start = 0; start < pcm.length; start += size) {
    await sleep(Math.max(0, begin + (start / size) * CHUNK - performance.now()));
    const audio = pcm.subarray(start, start + size).toString("base64");
    live.send({ type: "input_audio_buffer.append", audio });
  }
}

await until(() => kinds.includes("session.created"), "session");
const detection = mode === "server" ? { type: "server_vad" } : null;
const input = {
  format: { type: "audio/pcm", rate: RATE },
  transcription: { model: MODEL, language: "en" },
  turn_detection: detection,
};
live.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
await until(() => kinds.includes("session.updated"), "answer to the set-up");
for (const [number, file] of files.entries()) {
  await speak(readFileSync(file));
  if (mode === "server") await speak(Buffer.alloc(2 * RATE * PAUSE));
  else live.send({ type: "input_audio_buffer.commit" });
  if (mode !== "both") await until(() => texts.size > number, "text");
}
await until(() => texts.size === files.length, "text");
live.close();
const told = { version: released.version, texts: order.map((item) => texts.get(item)) };
console.log(JSON.stringify({ ...told, query: live.url.search, kinds, errors }));
