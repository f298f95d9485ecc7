/** What JSON can hold. State that crosses a process border is made of this alone. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
