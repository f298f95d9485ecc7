/** All golden lines. A new command gets its row in the table of its family. */
import { DMA, FAULTS, HOST } from "./host.ts";
import { ISM } from "./ism.ts";
import { ACCESS, LOOK } from "./look.ts";
import { PLATFORM } from "./platform.ts";
import { HELP, OPTIONS, SCRIPT } from "./script.ts";
import { SYSTEM } from "./system.ts";
import type { GoldenTable } from "./table.ts";

/** Lines by the name of their command. */
export const GOLDEN_LINES: GoldenTable = {
  ...LOOK,
  ...ACCESS,
  ...ISM,
  ...HOST,
  ...DMA,
  ...FAULTS,
  ...SYSTEM,
  ...PLATFORM,
  ...SCRIPT,
  ...HELP,
};

/** Lines that show what options and mistakes look like with any command, by the name of their file. */
export const OTHER_LINES: GoldenTable = OPTIONS;
