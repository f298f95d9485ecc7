/** The host file, the life of a function, DMA memory, time and faults. */
import { type GoldenTable, IOVA, NOBODY } from "./table.ts";

export const HOST: GoldenTable = {
  "host create": {
    done: ["host create --force --functions 3", "host create --force --dry-run"],
    refused: [
      "host create",
      "host create --force --from {dir}/file",
      "host create --force --from {dir}/bad.json",
    ],
  },
  "host show": { done: ["host show"], refused: ["host show --host {dir}/missing"] },
  "host check": { done: ["host check"], refused: ["host check --host {dir}/file"] },
  "host export": {
    before: ["open"],
    done: ["host export {dir}/saved.json", "host export {dir}/saved.json --dry-run"],
    refused: ["host export {dir}/host.db", "host export {dir}/no/file"],
  },
  "host import": {
    done: ["host import {dir}/exported.json --force"],
    refused: ["host import {dir}/exported.json", "host import {dir}/bad.json --force"],
  },
  "host reset": {
    done: ["host reset", "host reset --dry-run"],
    refused: ["host reset --host {dir}/missing"],
  },
  "host delete": {
    done: ["host delete", "host delete --dry-run"],
    refused: ["host delete --host {dir}/file"],
  },
  "bind": { before: ["open -d 1"], done: ["bind vfio-pci", "bind vfio-pci -d 1"], refused: ["bind e1000"] },
  "unbind": { before: ["open -d 1"], done: ["unbind", "unbind -d 1"], refused: [`unbind ${NOBODY}`] },
  "open": { done: ["open", "open --via cdev"], refused: ["open --via door", `open ${NOBODY}`] },
  "close": { before: ["open"], done: ["close", "close -d 1"], refused: [`close ${NOBODY}`] },
  "reset": { done: ["reset"], refused: [`reset ${NOBODY}`] },
  "feature": {
    before: ["open", "zpci event 0x3a"],
    done: ["feature 13 --get", "feature 3 --set"],
    refused: ["feature 11", "feature 13 --get -d 1"],
  },
  "sleep": { done: ["sleep 1.5"], refused: ["sleep long"] },
};

export const DMA: GoldenTable = {
  "dma map": { done: ["dma map --size 5000"], refused: ["dma map --size 4k --iova 1", "dma map"] },
  "dma unmap": { before: ["dma map --size 4k"], done: [`dma unmap ${IOVA}`], refused: ["dma unmap 0x123"] },
  "dma list": {
    before: ["dma map --size 64k"],
    done: ["dma list", "dma list -d 1"],
    refused: ["dma list 1"],
  },
  "dma read": {
    before: ["dma map --size 4k", `dma write ${IOVA} text:hello`],
    done: [`dma read ${IOVA} 20`],
    refused: [`dma read ${IOVA} 4097`],
  },
  "dma write": {
    before: ["dma map --size 4k"],
    done: [`dma write ${IOVA} text:x`],
    refused: ["dma write 0 text:x"],
  },
  "dma and": {
    before: ["dma map --size 4k", `dma write ${IOVA} hex:ffff`],
    done: [`dma and ${IOVA} 0x7f --width 1`],
    refused: ["dma and 0 0"],
  },
  "dma or": { before: ["dma map --size 4k"], done: [`dma or ${IOVA} 1`], refused: ["dma or 0 0"] },
  "dma swap": {
    before: ["dma map --size 4k"],
    done: [`dma swap ${IOVA} 1 --width 3 --endian little`],
    refused: [`dma swap ${IOVA} 0x1000000 --width 3`],
  },
};

export const FAULTS: GoldenTable = {
  "fault add": {
    done: ["fault add busy:1 --at 3 --op PCISTB --space 2", "fault add lock:1 --op reset"],
    refused: ["fault add late", "fault add lock:1 --space 2"],
  },
  "fault list": {
    before: ["fault add busy:1 --at 3 --op PCISTB --space 2", "fault add cc3 --any", "fault add lock:1"],
    done: ["fault list"],
    refused: ["fault list 1"],
  },
  "fault clear": { before: ["fault add cc3"], done: ["fault clear"], refused: ["fault clear 99"] },
};
