/** The platform side: CLP, states, events, instructions of no driver. */
import { type GoldenTable, IOVA, NOBODY } from "./table.ts";

export const PLATFORM: GoldenTable = {
  "zpci clp": {
    done: ["zpci clp list", "zpci clp function", "zpci clp group"],
    refused: ["zpci clp raw", "zpci clp list hex:00", "zpci clp everything"],
  },
  "zpci configure": {
    before: ["zpci deconfigure"],
    done: ["zpci configure", "zpci configure -d 1"],
    refused: [`zpci configure ${NOBODY}`],
  },
  "zpci deconfigure": {
    before: ["open"],
    done: ["zpci deconfigure", "zpci deconfigure --gone", "zpci deconfigure -d 1"],
    refused: ["zpci deconfigure --slowly"],
  },
  "zpci enable": { before: ["zpci disable"], done: ["zpci enable"], refused: ["zpci enable -d 1"] },
  "zpci disable": { done: ["zpci disable"], refused: [`zpci disable ${NOBODY}`] },
  "zpci event": {
    before: ["open"],
    done: ["zpci event 0x3a", "zpci event 0x02 --address 0x1000", "zpci event 0x0303"],
    refused: ["zpci event 0x0302", "zpci event 0x200"],
  },
  "zpci recover": {
    before: ["open"],
    done: ["zpci recover", "zpci recover -d 1"],
    refused: ["zpci recover 1"],
  },
  "zpci controls": {
    before: ["events"],
    done: ["zpci controls"],
    refused: ["zpci controls --fh 1"],
  },
  "zpci mpcifc": {
    done: ["zpci mpcifc set-measurement-block"],
    refused: ["zpci mpcifc reset-error", "zpci mpcifc repair"],
  },
  "zpci rpcit": {
    before: ["dma map --size 4k"],
    done: [`zpci rpcit ${IOVA} 4096`],
    refused: [`zpci rpcit ${IOVA} 4096 --fh 1`],
  },
  "zpci pcilg": { done: ["zpci pcilg 15 0 4"], refused: ["zpci pcilg 15 0 3", "zpci pcilg 2 0 8 --fh 1"] },
  "zpci pcistg": {
    done: ["zpci pcistg 15 0x3c 1 fill:0*8"],
    refused: ["zpci pcistg 15 0x3c 3 fill:0*8", "zpci pcistg 15 0x3c 1 hex:00"],
  },
  "zpci pcistb": {
    before: ["open"],
    done: ["zpci pcistb 2 0x100 seq:0*9"],
    refused: ["zpci pcistb 2 0xfff fill:0*2", "zpci pcistb 6 8 fill:0*8"],
  },
};
