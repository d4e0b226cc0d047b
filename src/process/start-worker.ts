import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * Starts a worker from one of our own modules, compiled or not: a worker does not inherit the TypeScript loader that
 * tests and development run under, so from a `.ts` file it is registered there first.
 *
 * @param module the specifier as an import would have it: `./import-worker.js`
 * @param base the `import.meta.url` of the file that starts it
 */
export function startWorker(module: string, base: string, options: WorkerOptions): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(module, base), options)
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const entry = JSON.stringify(new URL(module.replace(/\.js$/, '.ts'), base).href)
  const bootstrap = `import(${loader}).then(loader => { loader.register(); return import(${entry}) })`
  return new Worker(bootstrap, { ...options, eval: true })
}
