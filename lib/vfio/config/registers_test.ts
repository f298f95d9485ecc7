import { assertEquals, assertThrows } from "@std/assert";
import {
  type ConfigRegister,
  decodeBits,
  defineRegisters,
  fieldValue,
  findRegister,
  HEADER_REGISTERS,
  listRegisters,
  MSI_REGISTERS,
} from "./registers.ts";

const ROW: ConfigRegister = { name: "A", offset: 0, size: 2, read: "hardware", write: "drop" };

for (
  const { fault, rows } of [
    { fault: "is misaligned", rows: [{ ...ROW, offset: 1 }] },
    { fault: "overlaps the one before it", rows: [ROW, { ...ROW, name: "B", size: 1 as const, offset: 1 }] },
    { fault: "ends at 10, beyond 8", rows: [{ ...ROW, offset: 8 }] },
    { fault: "is named twice", rows: [ROW, { ...ROW, offset: 2 }] },
    { fault: "names bits outside itself", rows: [{ ...ROW, virtualBits: 0x1_0000 }] },
    { fault: "writes where it does not read", rows: [{ ...ROW, write: "virtual" as const }] },
  ]
) {
  Deno.test(`defineRegisters() refuses a row that ${fault}`, () => {
    assertThrows(() => defineRegisters(8, rows), TypeError, fault);
  });
}

Deno.test("defineRegisters() takes a row that ends at the end of the table", () => {
  assertEquals(defineRegisters(8, [{ ...ROW, offset: 6 }]).length, 1);
});

Deno.test("findRegister() knows the header in any letter case, and MSI only with its offset", () => {
  assertEquals(findRegister("command")?.offset, 0x04);
  assertEquals(findRegister("BASE_ADDRESS_5")?.offset, 0x24);
  assertEquals(findRegister("MSI_FLAGS"), undefined);
  assertEquals(findRegister("NO_SUCH"), undefined);
});

// vfio.config.msi: where the fields of MSI are in each of its four lengths.
for (
  const { length, fields } of [
    {
      length: 10,
      fields: { MSI_FLAGS: 0x42, MSI_ADDRESS_LO: 0x44, MSI_ADDRESS_HI: undefined, MSI_DATA: 0x48 },
    },
    { length: 14, fields: { MSI_FLAGS: 0x42, MSI_ADDRESS_LO: 0x44, MSI_ADDRESS_HI: 0x48, MSI_DATA: 0x4c } },
    { length: 20, fields: { MSI_DATA: 0x48, MSI_MASK: 0x4c, MSI_PENDING: 0x50 } },
    { length: 24, fields: { MSI_DATA: 0x4c, MSI_MASK: 0x50, MSI_PENDING: 0x54 } },
  ] as const
) {
  Deno.test(`findRegister() places MSI of ${length} bytes`, () => {
    for (const [name, offset] of Object.entries(fields)) {
      assertEquals(findRegister(name, 0x40, length)?.offset, offset, name);
    }
  });
}

Deno.test("listRegisters() joins header and MSI without a shared name", () => {
  const names = listRegisters(0x40, 24).map((register) => register.name);
  assertEquals(new Set(names).size, HEADER_REGISTERS.length + MSI_REGISTERS[24].length);
});

for (
  const { name, value, bits } of [
    { name: "COMMAND", value: 0x0000, bits: [] },
    { name: "COMMAND", value: 0x0406, bits: ["MEMORY", "MASTER", "INTX_DISABLE"] },
    { name: "STATUS", value: 0x0010, bits: ["CAP_LIST", "DEVSEL=0"] },
    { name: "STATUS", value: 0x8230, bits: ["CAP_LIST", "66MHZ", "DEVSEL=1", "DETECTED_PARITY"] },
    { name: "MSI_FLAGS", value: 0x01b1, bits: ["ENABLE", "QMASK=0", "QSIZE=3", "64BIT", "MASKBIT"] },
    { name: "VENDOR_ID", value: 0x1014, bits: [] },
  ]
) {
  Deno.test(`decodeBits() of ${name} 0x${value.toString(16)}`, () => {
    assertEquals(decodeBits(findRegister(name, 0x40)!, value), bits);
  });
}

Deno.test("fieldValue() shifts a field down", () => {
  assertEquals(fieldValue({ name: "QSIZE", mask: 0x70 }, 0x00d5), 5);
});

Deno.test("fieldValue() of a field at bit 31 is not negative", () => {
  assertEquals(fieldValue({ name: "HIGH", mask: 0xc0000000 }, 0xc0000000), 3);
});
