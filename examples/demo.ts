/**
 * The main job, end to end: a fresh host, what it looks like, three accesses that are refused, and two files that
 * cross from one guest to the other. Ends with another code than 0 if anything is not as it should be.
 */
import { createHash } from "node:crypto";
import { main } from "../cmd/main.ts";
import { randomBytes } from "../cmd/language/data.ts";

const MIB = 1024 * 1024;
const directory = Deno.makeTempDirSync({ prefix: "ism-demo-" });
const host = `${directory}/host.db`;
let failures = 0;

/** Runs a command and shows it as it would be typed. */
async function ism(line: string, expectedCode = 0): Promise<void> {
  console.log(`\n$ ism ${line.replaceAll(`${directory}/`, "")}`);
  const code = await main(["--host", host, "-v", ...line.split(" ")]);
  if (code === expectedCode) return;
  console.error(`That ended with code ${code}, not ${expectedCode}`);
  failures++;
}

function heading(text: string): void {
  console.log(`\n== ${text}`);
}

/** The SHA-256 of a file, taken outside of the simulation. */
function sha256(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

async function sendAndCompare(path: string): Promise<void> {
  const copy = `${directory}/arrived`;
  await ism(`send ${path} --from 0 --to 1 -o ${copy}`);
  const same = sha256(path) === sha256(copy);
  console.log(same ? "The copy is identical." : "THE COPY DIFFERS.");
  if (!same) failures++;
}

try {
  heading("A fresh host: two guests, each with one ISM function on the same channel");
  await ism("host create");
  await ism("list");
  await ism("info");

  heading("Three accesses that the real stack refuses, and who says no");
  await ism("stb bar0 0xff8 seq:0*9", 1);
  await ism("peek bar1 0", 1);
  await ism("peek config 0xfe 4", 1);

  heading("A file of this repository from guest 0 to guest 1");
  await sendAndCompare(new URL("../README.md", import.meta.url).pathname);

  heading("8 MiB of random bytes, the same way");
  const generated = `${directory}/8MiB.bin`;
  Deno.writeFileSync(generated, randomBytes(8n, 8 * MIB));
  await sendAndCompare(generated);
} finally {
  Deno.removeSync(directory, { recursive: true });
}

console.log(failures === 0 ? "\nAll as it should be." : `\n${failures} steps went wrong.`);
Deno.exit(failures === 0 ? 0 : 1);
