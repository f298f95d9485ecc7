/** A camel-case name as the kernel, JSON and text write it: `capOffset` is `cap_offset`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
