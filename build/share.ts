/** What package managers put beside a program: its manual page and completions. */
import { permissionFlags } from "./permissions.ts";
import { run } from "./run.ts";

/** Where each of them belongs, and the command that prints it. */
export const SHARED_FILES: readonly (readonly [path: string, command: readonly string[]])[] = [
  ["share/man/man1/ism.1", ["man"]],
  ["share/bash-completion/completions/ism", ["completions", "bash"]],
  ["share/zsh/site-functions/_ism", ["completions", "zsh"]],
  ["share/fish/vendor_completions.d/ism.fish", ["completions", "fish"]],
];

/** Writes them into a folder, as the bundled program prints them. */
export async function writeShared(folder: string, program: string): Promise<void> {
  for (const [path, command] of SHARED_FILES) {
    const flags = ["--quiet", "--no-config", ...permissionFlags()];
    const text = await run(Deno.execPath(), ["run", ...flags, program, ...command]);
    const file = `${folder}/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }
}
