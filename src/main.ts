#!/usr/bin/env node
import './values/hangup.js' // before all that takes time: until then SIGHUP ends the process

// Where messages go may be full or gone; that is no reason to end.
process.stderr.on('error', () => undefined)

const { readServeOptions } = await import('./cli/serve-options.js')
const args = process.argv.slice(2)
const serveOptions = readServeOptions(args)

// A relay starts without what only the other commands need, and they without what it needs.
if (serveOptions !== undefined) {
  const { runServe } = await import('./cli/serve.js')
  process.exitCode = await runServe(serveOptions)
} else {
  const { runCommandLine } = await import('./cli/program.js')
  await runCommandLine(args)
}
