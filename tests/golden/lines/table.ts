/** What the lines of a golden file are written in. */

/** Lines of one command, each of them run on a host of its own, as text and with `--json`. */
export interface GoldenLines {
  /** Lines of a script that make the host as the others find it; a fresh one by default. */
  readonly before?: readonly string[];
  /** Lines that succeed. */
  readonly done: readonly string[];
  /** Lines that fail. */
  readonly refused: readonly string[];
  /** Lines that succeed, of which only the text is kept. */
  readonly text?: readonly string[];
  /** Why the command never succeeds, or never fails; it has no such line then. */
  readonly never?: string;
  /** Lines are run by the shell with the program as a process of its own, which takes longer. */
  readonly shell?: boolean;
}

/** Lines by the name of their command. */
export type GoldenTable = Readonly<Record<string, GoldenLines>>;

/** GIDs of the functions of a fresh host. */
export const [GID0, GID1] = ["0x62441adacc2f9ccf", "0x7429a3efbe812cbd"];
/** Registers a DMB of function 1 that function 0 may write. */
export const REGISTER = `dmb register --size 8k --rgid ${GID0} -d 1`;
/** Token of the first DMB of a fresh host. */
export const TOKEN = "0x22f890000000";
/** DMA address of the first mapping of a fresh host. */
export const IOVA = "0x100000000";
/** No function has this number. */
export const NOBODY = "-d 99";
