/** The texts of docs/reference, as part of the program. Loaded when a rule is asked for, and not before. */
import readme from "../../docs/reference/README.md" with { type: "text" };
import ismAdapter from "../../docs/reference/ism/adapter.md" with { type: "text" };
import ismCommands from "../../docs/reference/ism/commands.md" with { type: "text" };
import ismData from "../../docs/reference/ism/data.md" with { type: "text" };
import ismDrivers from "../../docs/reference/ism/drivers.md" with { type: "text" };
import ismSignals from "../../docs/reference/ism/signals.md" with { type: "text" };
import recovery from "../../docs/reference/recovery.md" with { type: "text" };
import vfioAccess from "../../docs/reference/vfio/access.md" with { type: "text" };
import vfioBinding from "../../docs/reference/vfio/binding.md" with { type: "text" };
import vfioConfig from "../../docs/reference/vfio/config.md" with { type: "text" };
import vfioGeneric from "../../docs/reference/vfio/generic.md" with { type: "text" };
import vfioInfo from "../../docs/reference/vfio/info.md" with { type: "text" };
import vfioInterrupts from "../../docs/reference/vfio/interrupts.md" with { type: "text" };
import vfioIommufd from "../../docs/reference/vfio/iommufd.md" with { type: "text" };
import vfioOpen from "../../docs/reference/vfio/open.md" with { type: "text" };
import vfioReset from "../../docs/reference/vfio/reset.md" with { type: "text" };
import vfioType1 from "../../docs/reference/vfio/type1.md" with { type: "text" };
import zpciClp from "../../docs/reference/zpci/clp.md" with { type: "text" };
import zpciControls from "../../docs/reference/zpci/controls.md" with { type: "text" };
import zpciFunctions from "../../docs/reference/zpci/functions.md" with { type: "text" };
import zpciInstructions from "../../docs/reference/zpci/instructions.md" with { type: "text" };

/** Pages of the reference in the order of its index: path below docs/reference, and Markdown. */
export const PAGES: readonly (readonly [path: string, markdown: string])[] = [
  ["README.md", readme],
  ["zpci/functions.md", zpciFunctions],
  ["zpci/instructions.md", zpciInstructions],
  ["zpci/clp.md", zpciClp],
  ["zpci/controls.md", zpciControls],
  ["ism/adapter.md", ismAdapter],
  ["ism/commands.md", ismCommands],
  ["ism/data.md", ismData],
  ["ism/signals.md", ismSignals],
  ["ism/drivers.md", ismDrivers],
  ["vfio/binding.md", vfioBinding],
  ["vfio/open.md", vfioOpen],
  ["vfio/info.md", vfioInfo],
  ["vfio/access.md", vfioAccess],
  ["vfio/config.md", vfioConfig],
  ["vfio/interrupts.md", vfioInterrupts],
  ["vfio/reset.md", vfioReset],
  ["vfio/type1.md", vfioType1],
  ["vfio/iommufd.md", vfioIommufd],
  ["vfio/generic.md", vfioGeneric],
  ["recovery.md", recovery],
];
