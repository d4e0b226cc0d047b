/** The package has no types of its own. */
declare module 'bufferutil' {
  const bufferUtil: { readonly mask: unknown; readonly unmask: unknown }
  export = bufferUtil
}
