import '../../process/signals/hangup.js' // before all else: a SIGHUP to everything of a service must not end this process
import '../../process/signals/lost-terminal.js'
import { ignoreSignals } from '../../process/signals/ignored-signals.js'
import { Command } from './command.js'
import type { HostOrder, HostReport } from './host-messages.js'

/**
 * The command host: a small process of its own that starts the commands of a relay, since to fork takes a time that
 * grows with the memory of who forks (2 ms at 100 MB, and the event loop stands still meanwhile). When the relay goes,
 * however it goes, so do its commands and this process.
 */

ignoreSignals('SIGUSR1', 'SIGUSR2', 'SIGALRM')

/** Characters on their way to the relay beyond which no more output is read. */
const MAX_UNSENT_CHARS = 4 * 1024 * 1024

const commands = new Map<number, Command>()
const heldBack = new Set<number>()
let unsentChars = 0

let gathered: HostReport[] = []

/** Reports to the relay. The reports of one turn of the event loop go as one message. */
function report(message: HostReport): void {
  if (gathered.length === 0) setImmediate(sendGathered)
  gathered.push(message)
  unsentChars += charsOf(message)
}

function sendGathered(): void {
  const reports = gathered
  gathered = []
  if (!process.connected) return
  process.send?.(reports, undefined, {}, () => {
    for (const message of reports) unsentChars -= charsOf(message)
    if (unsentChars < MAX_UNSENT_CHARS / 2) resumeAll()
  })
}

function charsOf(message: HostReport): number {
  return message.kind === 'output' ? message.lines.length : 0
}

function resumeAll(): void {
  for (const id of heldBack) commands.get(id)?.resume()
  heldBack.clear()
}

function start({ id, file, args, timeoutMs, killGraceMs, wantsOutput }: HostOrder & { kind: 'start' }): void {
  const command: Command = new Command({
    file,
    args,
    timeoutMs,
    killGraceMs,
    onStarted: pid => report({ kind: 'started', id, pid }),
    onOutput: wantsOutput
      ? (stream, lines) => {
          report({ kind: 'output', id, stream, lines })
          if (unsentChars > MAX_UNSENT_CHARS) {
            heldBack.add(id)
            command.pause()
          }
        }
      : undefined
  })
  commands.set(id, command)
  command.ended.then(
    end => {
      commands.delete(id)
      heldBack.delete(id)
      report({ kind: 'ended', id, end })
    },
    () => undefined // it never rejects
  )
}

process.on('message', (order: HostOrder) => {
  if (order.kind === 'start') start(order)
  else if (order.kind === 'stop') commands.get(order.id)?.stop()
  else if (order.kind === 'pause') commands.get(order.id)?.pause()
  else if (!heldBack.has(order.id)) commands.get(order.id)?.resume()
})

// Ctrl-C on a terminal reaches the whole group: the relay decides what becomes of the commands
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

process.once('disconnect', () => {
  for (const command of commands.values()) command.stop()
  // with the channel and the last command gone, nothing keeps this process
})
