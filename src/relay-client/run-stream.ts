import { FORM, NDJSON, ORDER_ID_HEADER } from '../network/header-names.js'
import { parseRunEvent, type RunEvent } from '../values/runs/run-event.js'
import { ClientError } from './client-error.js'
import { readLines } from './ndjson-lines.js'
import { apiPath, type RelayClient } from './relay-client.js'

/** An order to a relay. */
export interface RunRequest {
  readonly nodes: 'all' | readonly string[]
  readonly conditions: readonly string[]
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  /** How long nodes that are not connected are waited for, in s; 0: not at all. */
  readonly waitSeconds: number
  /** A ULID by which the relay knows an asynchronous order that is given again. */
  readonly orderId?: string
}

/**
 * Orders a run and gives its events as they come. Leaving the loop, or aborting, closes the request, which cancels a
 * run that is not asynchronous.
 * @throws {ClientError} when the relay refuses, or does not speak of events
 */
export async function* streamRun(
  client: RelayClient,
  order: RunRequest,
  signal: AbortSignal
): AsyncGenerator<RunEvent, void> {
  const answer = await client.request({
    method: 'POST',
    path: order.nodes === 'all' ? apiPath('remote-run', 'all') : apiPath('remote-run', 'nodes'),
    headers: {
      accept: NDJSON,
      'content-type': FORM,
      ...(order.orderId === undefined ? {} : { [ORDER_ID_HEADER]: order.orderId })
    },
    body: formOf(order),
    signal,
    isPatient: true
  })
  try {
    if (!String(answer.headers['content-type']).startsWith(NDJSON)) {
      throw new ClientError(
        `${client.server} answers in plain text alone: it is no Treeline relay; the run goes on there`
      )
    }
    for await (const line of readLines(answer.body)) {
      const event = parseRunEvent(line)
      if (event !== undefined) yield event
    }
  } finally {
    // Closed on purpose: that it was is no error of the body.
    answer.body.on('error', () => undefined).destroy()
  }
}

/** Ids and conditions need no encoding, and a `%2C` for each comma would take a tenth of the form. */
function formOf(order: RunRequest): string {
  const fields = [
    `keep_output=${order.keepOutput}`,
    `asynchronous=${order.asynchronous}`,
    ...(order.waitSeconds > 0 ? [`wait=${order.waitSeconds}`] : []),
    `conditions=${order.conditions.join(',')}`,
    `classes=${order.conditions.join(',')}`
  ]
  if (order.nodes !== 'all') fields.push(`nodes=${order.nodes.join(',')}`)
  return fields.join('&')
}
