#!/usr/bin/env node
import { readServeOptions } from './cli/serve-options.js'

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
