import type { RunEvent } from '../../remote-run/run-types.js'

/** The events as lines of JSON, as `application/x-ndjson`. */
export async function* eventLines(events: AsyncIterable<RunEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`
}
