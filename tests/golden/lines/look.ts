/** Commands that look, and those that read and write regions. */
import { GID0, type GoldenTable, NOBODY, REGISTER, TOKEN } from "./table.ts";

export const LOOK: GoldenTable = {
  "list": {
    before: ["open -d 1"],
    done: ["list"],
    text: ["list --wide", "list --format tsv --columns address,fid,gid", "list --format json"],
    refused: ["list surplus", `list ${NOBODY}`, "list --columns age"],
  },
  "info": {
    done: ["info", "info bar0", "info config", "info --map"],
    refused: ["info 6", "info bar9"],
  },
  "status": {
    before: [REGISTER, `move ${TOKEN} 0 text:hello --signal`, `signal ${GID0} --code 5 -d 1`],
    done: ["status", "status -d 1"],
    refused: [`status ${NOBODY}`],
  },
  "fabric": {
    before: [REGISTER, "dmb register --size 4k --rgid 0x1 -d 1"],
    done: ["fabric"],
    text: ["fabric --format csv"],
    refused: ["fabric surplus"],
  },
  "view": {
    done: ["view {dir}/trace.jsonl -o {dir}/trace.svg"],
    text: ["view {dir}/trace.jsonl"],
    refused: ["view {dir}/bad.json", "view {dir}/trace.jsonl -o {dir}/trace.png"],
  },
  "sysfs": {
    done: ["sysfs", "sysfs function_handle", "sysfs iommu_group", "sysfs /sys/bus/pci/slots"],
    refused: ["sysfs nothing", "sysfs reset"],
  },
  "sysfs write": {
    before: ["open"],
    done: ["sysfs write driver_override vfio-pci", "sysfs write recover 1"],
    refused: ["sysfs write reset 2", "sysfs write vendor 0x1014"],
  },
  "config": { done: ["config"], refused: [`config ${NOBODY}`] },
  "config get": { done: ["config get COMMAND STATUS"], refused: ["config get COMAND"] },
  "config set": { done: ["config set COMMAND=6"], refused: ["config set COMMAND=0x10000", "config set 6"] },
  "config dump": {
    done: ["config dump", "config dump --format lspci"],
    refused: ["config dump --format pdf"],
  },
};

export const ACCESS: GoldenTable = {
  "peek": {
    before: ["poke bar2 8 0x1122334455667788 --width 8"],
    done: ["peek bar2 0 20", "peek bar2 3 9 --width 4 --endian little", "peek config 0 64 --width 2"],
    refused: ["peek bar0 0", "peek bar1 0", "peek bar2 0 8k --accessible 4k", "peek bar7 0"],
  },
  "poke": {
    done: ["poke config 4 0x0006 --width 2"],
    refused: ["poke bar1 0 1 --width 8", "poke config 4 0x10000 --width 2", "poke config 4 6"],
  },
  "stb": {
    done: ["stb bar2 8 seq:0*9"],
    refused: ["stb bar0 0xff8 seq:0*9", "stb bar2 8 seq:0*9 --accessible 3"],
  },
  "write": { done: ["write bar2 4000 seq:0*200"], refused: ["write bar1 0 hex:00"] },
  "pread": { done: ["pread 0x7000000000000 4"], refused: ["pread 0x6000000000000 1"] },
  "pwrite": { done: ["pwrite 0x7000000000004 hex:0600"], refused: ["pwrite 0x6000000000000 hex:00"] },
};
