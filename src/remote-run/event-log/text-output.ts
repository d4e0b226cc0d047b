import type { EventCursor, Run, RunEvent } from '../run-types.js'

/**
 * A run as the plain text of the contract, for callers that do not read events.
 *
 * - asynchronous, with output: lines as they come; a line is never torn by another node's
 * - synchronous, with output: the output of a node stands together, given out when that node has ended; output that
 *   came through a relay that only speaks text is one block at the end. Waiting output waits on disk.
 * - without output: nothing of what was said
 *
 * Of the output, standard error is left out unless `withStderr`, as existing relays do.
 *
 * In each of them an unknown node, a relay that cannot be reached and a node that failed have a line that begins with
 * `error: `. So the body of a run without output is empty only when all went well: the existing relay's silence about
 * failures is what we do away with (design, "Nothing lost").
 *
 * @throws the reason of `signal` when it aborts
 */
export function renderText(run: Run, signal: AbortSignal, { withStderr }: TextOptions): AsyncGenerator<string> {
  const { asynchronous, keepOutput } = run.order
  const isShown = ({ event, stream }: RunEvent) => event !== 'output' || withStderr || stream !== 'stderr'
  return keepOutput && !asynchronous ? renderBlocks(run, signal, isShown) : renderLines(run, signal, isShown)
}

export interface TextOptions {
  readonly withStderr: boolean
}

type IsShown = (event: RunEvent) => boolean

async function* renderLines(run: Run, signal: AbortSignal, isShown: IsShown): AsyncGenerator<string> {
  const errors = new ErrorLines()
  for await (const { event } of run.located(0, signal)) {
    if (!isShown(event)) continue
    const text = event.event === 'output' ? wholeLines(event) : errors.of(event)
    if (text !== '') yield text
  }
}

async function* renderBlocks(run: Run, signal: AbortSignal, isShown: IsShown): AsyncGenerator<string> {
  const errors = new ErrorLines()
  const waiting = new Map<string, EventCursor[]>()

  async function* take(key: string): AsyncGenerator<string> {
    const cursors = waiting.get(key)
    waiting.delete(key)
    if (cursors === undefined) return
    for await (const event of run.reread(cursors)) yield wholeLines(event)
  }

  for await (const { event, cursor } of run.located(0, signal)) {
    if (!isShown(event)) continue
    const { node } = event
    if (event.event === 'output') {
      const key = blockOf(event)
      const cursors = waiting.get(key)
      if (cursors === undefined) waiting.set(key, [cursor])
      else cursors.push(cursor)
    } else {
      if (event.event === 'node' && node !== undefined && event.outcome !== 'running') yield* take(blockOf(event))
      const line = errors.of(event)
      if (line !== '') yield line
    }
  }
  for (const key of [...waiting.keys()]) yield* take(key)
}

/** A node and a relay may have the same id. */
function blockOf({ node, relay = '' }: RunEvent): string {
  return node === undefined ? `relay ${relay}` : `node ${node}`
}

function wholeLines({ data = '' }: RunEvent): string {
  return data === '' || data.endsWith('\n') ? data : `${data}\n`
}

/** Chooses the events that are worth an `error: ` line. */
class ErrorLines {
  readonly #relaysTold = new Set<string>()

  /** @returns an empty text for an event that is none */
  of(event: RunEvent): string {
    const { node, relay = '', message = '' } = event
    if (event.event === 'error') {
      if (node === undefined) this.#relaysTold.add(relay)
      return line(node, message)
    }
    if (event.event !== 'node' || node === undefined) return ''
    const why = this.#failure(event)
    return why === undefined ? '' : line(node, why)
  }

  #failure({ outcome, exit_code: exitCode, relay = '', message }: RunEvent): string | undefined {
    switch (outcome) {
      case undefined:
      case 'queued':
      case 'running':
      case 'unknown':
        return undefined
      case 'done':
        if (exitCode === 0) return undefined
        return `exit code ${exitCode ?? 'unknown'}${message === undefined ? '' : `, ${message}`}`
      default: {
        // one line for the relay speaks for all the nodes that were not reached through it
        const isTold = (outcome === 'unreachable' || outcome === 'refused') && this.#relaysTold.has(relay)
        return isTold ? undefined : `${outcome.replace('_', ' ')}: ${message ?? 'no reason given'}`
      }
    }
  }
}

function line(node: string | undefined, text: string): string {
  const oneLine = text.replaceAll(/[\r\n]+/g, ' ')
  return node === undefined ? `error: ${oneLine}\n` : `error: ${node}: ${oneLine}\n`
}
