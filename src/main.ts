#!/usr/bin/env node
import './process/signals/hangup.js' // before all that takes time: until then SIGHUP ends the process
import './process/signals/lost-terminal.js'
import { readServeOptions } from './cli/options/serve-options.js'
import { limitKeyExchange } from './network/tls/key-exchange.js'
import { ignoreSignals } from './process/signals/ignored-signals.js'
import { stopWithParent } from './process/signals/parent-watch.js'
import { catchStopSignals } from './process/signals/stop-signal.js'

const args = process.argv.slice(2)
const serveOptions = readServeOptions(args)

limitKeyExchange()

ignoreSignals('SIGUSR1')
if (serveOptions !== undefined || args[0] === 'agent' || args[0] === 'client') {
  catchStopSignals()
  stopWithParent()
  ignoreSignals('SIGUSR2', 'SIGALRM')
}

// Where messages go may be full or gone; that is no reason to end.
process.stderr.on('error', () => undefined)

// A relay starts without what only the other commands need, and they without what it needs.
if (serveOptions !== undefined) {
  const { runServe } = await import('./cli/processes/start-relay.js')
  process.exitCode = await runServe(serveOptions)
} else {
  const { runCommandLine } = await import('./cli/program.js')
  await runCommandLine(args)
}
