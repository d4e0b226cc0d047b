import type { RunEvent } from '../../remote-run/types.js'

/** One JSON event a line, as `application/x-ndjson`. */
export async function* eventLines(events: AsyncIterable<RunEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`
}
