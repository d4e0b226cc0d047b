import { FORM, NDJSON, PASSED_HEADER, REQUEST_ID_HEADER, RUN_ID_HEADER } from '../../network/header-names.js'
import { formatPassed } from '../../values/passed-relays.js'
import { partRunId } from '../../values/runs/run-id.js'

/** An order as it goes down. */
export interface DispatchOrder {
  readonly runId: string
  readonly all: boolean
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  readonly conditions: readonly string[]
  /** The time that is left of the wait for nodes that are not connected, in s, when the order is made. */
  readonly waitSeconds?: number
  /** The relays on the way, including this one. */
  readonly passed: readonly string[]
  readonly requestId: string
}

/** A request to a sub-relay, and the nodes that it is about. */
export interface OrderPart {
  readonly runId: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly nodes: readonly string[]
}

/** A form that we and our like accept (contract: 1 MiB), with room for the fields beside the nodes. */
const MAX_NODES_FIELD_BYTES = 1024 * 1024 - 64 * 1024

/** Parts of long lists count from 1. */
const OWN_PART = 0

/**
 * The requests that hand `nodes`, all below one sub-relay, to it: one, but for lists that no form can hold. The
 * further parts of these are runs of their own there, with ids of their own, since a run id is taken once only.
 * @param maxNodesBytes of the `nodes` field in one form
 */
export function makeOrderParts(
  order: DispatchOrder,
  nodes: readonly string[],
  maxNodesBytes = MAX_NODES_FIELD_BYTES
): OrderPart[] {
  if (order.all) return [makePart(order, order.runId, nodes)]
  return splitBySize(nodes, maxNodesBytes).map((part, index) =>
    makePart(order, index === 0 ? order.runId : partRunId(order.runId, index), part)
  )
}

/** A part as it is sent once more, later: what is left of the wait has become less. */
export function renewOrderPart(order: DispatchOrder, part: OrderPart): OrderPart {
  return makePart(order, part.runId, part.nodes)
}

/**
 * The requests that hand nodes to themselves, one at a time: their headers and body are the same for all. A relay may get
 * what is below it under the run's id, and so its own machine is a run with an id of its own there.
 */
export function makeNodeOrders(order: DispatchOrder, isRelay: (node: string) => boolean): (node: string) => OrderPart {
  const body = Buffer.from(formOf({ ...order, waitSeconds: 0 })) // a node has nobody to wait for
  const under = (runId: string) => ({ runId, headers: headersOf(order, runId), body })
  const forNode = under(order.runId)
  const forRelay = under(partRunId(order.runId, OWN_PART))
  return node => ({ ...(isRelay(node) ? forRelay : forNode), path: `remote-run/nodes/${node}`, nodes: [node] })
}

function makePart(order: DispatchOrder, runId: string, nodes: readonly string[]): OrderPart {
  // ids need no escaping, and a comma none either: escaped, it would triple
  const list = order.all ? '' : `&nodes=${nodes.join(',')}`
  return {
    runId,
    path: order.all ? 'remote-run/all' : 'remote-run/nodes',
    headers: headersOf(order, runId),
    body: Buffer.from(`${formOf(order)}${list}`),
    nodes
  }
}

function formOf({ keepOutput, asynchronous, conditions, waitSeconds = 0 }: DispatchOrder): string {
  return new URLSearchParams({
    ...(waitSeconds > 0 ? { wait: String(waitSeconds) } : {}),
    keep_output: String(keepOutput),
    asynchronous: String(asynchronous),
    classes: conditions.join(',')
  }).toString()
}

function headersOf({ passed, requestId }: DispatchOrder, runId: string): OrderPart['headers'] {
  return {
    'content-type': FORM,
    accept: `${NDJSON}, text/plain;q=0.5, */*;q=0.1`,
    [RUN_ID_HEADER]: runId,
    [PASSED_HEADER]: formatPassed(passed),
    [REQUEST_ID_HEADER]: requestId
  }
}

function splitBySize(nodes: readonly string[], maxBytes: number): string[][] {
  const parts: string[][] = []
  let bytes = 0
  for (const node of nodes) {
    const part = parts.at(-1)
    bytes += node.length + 1
    if (part === undefined || bytes > maxBytes) {
      parts.push([node])
      bytes = node.length + 1
    } else {
      part.push(node)
    }
  }
  return parts
}
