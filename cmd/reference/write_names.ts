/** Writes lib/base/rule_names.ts from docs/reference: `deno task rules`. */
import { RULES } from "./reference.ts";
import { RULE_NAMES_FILE, ruleNamesModule } from "./names.ts";

Deno.writeTextFileSync(RULE_NAMES_FILE, ruleNamesModule(RULES));
