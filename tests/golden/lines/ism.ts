/** What an adapter does: commands, DMBs, signals, transfers. */
import { GID1, type GoldenTable, NOBODY, REGISTER, TOKEN } from "./table.ts";

export const ISM: GoldenTable = {
  "cmd": {
    done: ["cmd READ_GID", "cmd QUERY_INFO"],
    refused: ["cmd 0x99", "cmd QUERY_RGID hex:00", "cmd READ"],
  },
  "gid": { done: ["gid"], refused: [`gid ${NOBODY}`] },
  "query": { before: [REGISTER, "vlan add 7"], done: ["query"], refused: [`query ${NOBODY}`] },
  "rgid": { done: [`rgid ${GID1}`], refused: ["rgid 0x1"] },
  "vlan add": { done: ["vlan add 8"], refused: ["vlan add 0"] },
  "vlan del": { before: ["vlan add 7"], done: ["vlan del 7"], refused: ["vlan del 9"] },
  "vlan require": { done: ["vlan require off"], refused: ["vlan require perhaps"] },
  "vlan list": {
    before: ["vlan add 7", "vlan add 8"],
    done: ["vlan list"],
    refused: [`vlan list ${NOBODY}`],
  },
  "dmb register": {
    done: [`dmb register --size 64k --rgid ${GID1}`],
    refused: [`dmb register --size 5000 --rgid ${GID1}`, "dmb register --size 4k"],
  },
  "dmb unregister": {
    before: [REGISTER],
    done: [`dmb unregister ${TOKEN} -d 1`],
    refused: [`dmb unregister ${TOKEN}`],
  },
  "dmb list": { before: [REGISTER, REGISTER], done: ["dmb list -d 1", "dmb list"], refused: ["dmb list 1"] },
  "dmb read": {
    before: [REGISTER, `move ${TOKEN} 4 text:hello`],
    done: [`dmb read ${TOKEN} 0 20 -d 1`],
    refused: [`dmb read ${TOKEN} 8k 1 -d 1`, `dmb read ${TOKEN}`],
  },
  "move": {
    before: [REGISTER],
    done: [`move ${TOKEN} 4090 text:hello-hello --signal`],
    refused: [`move ${TOKEN} 8k text:hello`, "move 0x10000000 0 hex:00"],
  },
  "signal": {
    before: ["events -d 1"],
    done: [`signal ${GID1} --code 5 --info 7`],
    refused: ["signal 0x1 --code 5", `signal ${GID1}`],
  },
  "events": {
    before: ["events -d 1", `signal ${GID1} --code 5 --info 7`, "reset"],
    done: ["events -d 1", "events"],
    refused: [`events ${NOBODY}`],
  },
  "irq": {
    before: [REGISTER, `move ${TOKEN} 0 text:hello --signal --idx 3`, `signal ${GID1} --code 5`],
    done: ["irq -d 1", "irq --index ERR"],
    refused: ["irq --index INTx"],
  },
  "irq wait": {
    before: [REGISTER, `move ${TOKEN} 0 text:hello --signal`],
    done: ["irq wait -d 1"],
    refused: ["irq wait --timeout 0"],
  },
  "recover": {
    before: [REGISTER, "zpci event 0x3a -d 1"],
    done: ["recover -d 1", "recover"],
    refused: ["recover --wait --timeout 0"],
  },
  "send": {
    done: ["send {dir}/file -o {dir}/copy", "send {dir}/file --back {dir}/file"],
    refused: ["send {dir}/missing", "send {dir}/file -o {dir}/file", "send {dir}/file --to 9"],
  },
  "recv": {
    shell: true,
    done: ["ism send file --wait 30 >/dev/null & ism{json} recv -d 1; wait"],
    refused: ["ism{json} recv -d 1 --timeout 0"],
  },
};
