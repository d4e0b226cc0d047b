import { createRequire } from 'node:module'

/** Whether `require` takes ES modules: Node 20.19, 22.12 and newer ones. */
const REQUIRES_MODULES = Reflect.get(process.features, 'require_module') === true

/**
 * Makes what the bundle calls in the place of each `import()`. Node keeps the failure of an import, also that of a file which the imported one
 * imports: what fails once, since no descriptor was free, would fail until the process ends. `require` keeps none, and gives the same module.
 * @param base the `import.meta.url` of the file that imports
 */
export function lateImports(base: string): (specifier: string) => Promise<unknown> {
  const require = createRequire(base)
  return async specifier => (REQUIRES_MODULES ? require(specifier) : import(new URL(specifier, base).href))
}
