import type { AwsScope } from '../../config/services/service-config.js'
import type { FramedStream } from '../../links/streams/framed-stream.js'
import { AwsExchange, type SignableRequest } from '../aws/aws-exchange.js'
import type { AwsKeys } from '../aws/aws-keys.js'
import { SIGNATURE_FIELDS } from '../aws/aws-request.js'
import { type AwsTarget, formatAwsTarget, readAwsTarget } from '../aws/aws-target.js'
import { HeldBytes } from '../aws/held-bytes.js'
import type { ServiceRequest } from '../exchange/service-request.js'
import { BadMessageError } from '../http1/bad-message-error.js'
import { EdgeExchange, type ExchangeService } from './edge-exchange.js'
import { answerInPlace } from './own-answer.js'
import type { OutgoingRequest } from './service-channel.js'
import { outgoingHead, type ServiceHeadOptions } from './service-head.js'

/** The means to sign requests for a service of AWS again. */
export interface AwsSigning {
  readonly scope: AwsScope
  /** Closed by the caller. */
  readonly keys: AwsKeys
}

/** Bodies that are held at once in this process, of all services. */
const MAX_HELD_BYTES = 64 * 1024 * 1024
/** The longest silence of a caller whose body is held. */
const IDLE_LIMIT_MS = 60_000

const heldBytes = new HeldBytes(MAX_HELD_BYTES)

/** Takes a request for a service of AWS: it goes on once it is signed with the keys of this process. */
export function takeForAws(
  stream: FramedStream,
  request: ServiceRequest,
  service: ExchangeService,
  head: ServiceHeadOptions & { readonly host: string },
  signing: AwsSigning
): void {
  const outgoing = outgoingHead(request, head)
  let target: AwsTarget
  try {
    target = readAwsTarget(outgoing.target)
  } catch (error) {
    if (!(error instanceof BadMessageError)) throw error
    answerInPlace(stream, request.head.method, 400, error.message)
    return
  }
  const asked = { ...request, head: { ...request.head, fields: outgoing.fields } }
  stream.sink = new AwsExchange(stream, asked, target, {
    scope: signing.scope,
    held: heldBytes,
    idleMs: IDLE_LIMIT_MS,
    refuse: (status, message) => answerInPlace(stream, request.head.method, status, message),
    sign: async (signable, onAnswered) => {
      const sent = requestAsSent(signable)
      await service.outgoing(sent) // throws while the issuers to trust are not there
      const sign = () => signed(signable, sent, head.host, signing)
      const first = await sign()
      const watched: ExchangeService = {
        ...service,
        outgoing: sign,
        onAnswered: status => {
          onAnswered()
          if (status === 403) signing.keys.refused() // of keys that have expired AWS says this, not 401
          service.onAnswered(status)
        }
      }
      return () => new EdgeExchange(stream, sent, watched, first)
    }
  })
}

/** A request whose held body goes with its head: its stream brings nothing more. */
function requestAsSent({ request, fields, body }: SignableRequest): ServiceRequest {
  return body === undefined ? request : { ...request, body: 'none', head: { ...request.head, fields } }
}

async function signed(
  { request, fields, target, payload, body }: SignableRequest,
  sent: ServiceRequest,
  host: string,
  { keys, scope }: AwsSigning
): Promise<OutgoingRequest> {
  const { signAwsRequest } = await import('../aws/aws-signature.js') // large, and for few processes
  const { method } = request.head
  const added = await signAwsRequest({ method, target, host, fields, payload }, await keys.current(), scope, new Date())
  const bytes = body?.reduce((sum, piece) => sum + piece.length, 0)
  const length = bytes === undefined || request.body === 'none' ? [] : ['Content-Length', String(bytes)]
  const hasBody = body !== undefined && request.body !== 'none'
  return {
    head: { method, target: formatAwsTarget(target), fields },
    change: { removed: SIGNATURE_FIELDS, added: [...length, ...added] },
    framing: hasBody ? 'length' : sent.body,
    upgrade: request.upgrade,
    body: hasBody ? body : undefined
  }
}
