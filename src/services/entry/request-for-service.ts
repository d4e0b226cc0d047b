import { cleanFields } from '../exchange/clean-fields.js'
import { isUpgradeOffer, type ServiceRequest } from '../exchange/service-request.js'
import { malformed } from '../http1/bad-message-error.js'
import { fieldValues, isNamed, listElements } from '../http1/fields.js'
import type { BodyFraming } from '../http1/framing.js'
import type { RequestHead } from '../http1/heads.js'
import { askedOrigin, forwardingFields, isForwardingField } from './forwarding-fields.js'
import type { CallerRequest, ServiceDestination } from './service-entry.js'

/** The connection of a caller, as services are told of it. */
export interface CallerOrigin {
  readonly scheme: 'http' | 'https'
  /** `address:port` at which the caller asked, where it names no host. */
  readonly localAddress: string
}

/** A caller's request as it goes to the service. */
export function requestForService(
  { head, host, remoteAddress }: CallerRequest,
  { key, base, target, fields: passed = head.fields, isByTrustedProxy = false }: ServiceDestination,
  framing: BodyFraming,
  { scheme, localAddress }: CallerOrigin
): ServiceRequest {
  const upgrade = hasBytes(framing) ? undefined : offeredUpgrade(head)
  const body = upgrade !== undefined || framing.kind === 'until-close' ? 'none' : framing.kind
  const kept = cleanFields(passed)
  const fields: string[] = []
  for (let at = 0; at + 1 < kept.length; at += 2) {
    const name = kept[at] ?? ''
    const lower = name.toLowerCase()
    if (isForwardingField(lower) || lower === 'host' || (lower === 'expect' && head.minor === 0)) continue
    fields.push(name, kept[at + 1] ?? '')
  }
  const named = host === undefined || host === '' ? localAddress : host
  if (listElements(head.fields, 'te').includes('trailers')) fields.push('TE', 'trailers')
  const asked = { fields: head.fields, remoteAddress, scheme, host: named, base, isByTrustedProxy }
  fields.push(...forwardingFields(asked))
  return {
    key,
    base,
    origin: askedOrigin(asked),
    body,
    upgrade,
    head: { method: head.method, target, minor: 1, fields: ['Host', named, ...fields] }
  }
}

/** Programs in Go send a length of 0 with a POST, also one that offers an upgrade. */
function hasBytes(framing: BodyFraming): boolean {
  return framing.kind === 'chunked' || (framing.kind === 'length' && framing.bytes > 0)
}

/**
 * The protocols of an upgrade that the caller offers: in HTTP/1.1, and named by `Connection` (RFC 9110, 7.8).
 * @throws {BadMessageError}
 */
function offeredUpgrade({ minor, fields }: RequestHead): string | undefined {
  const [value, ...more] = fieldValues(fields, 'upgrade')
  if (minor === 0 || value === undefined || value === '') return undefined
  if (!listElements(fields, 'connection').includes('upgrade')) return undefined
  const offer = [value, ...more].join(', ')
  if (isUpgradeOffer(offer)) return offer
  throw malformed('the header Upgrade is no list of protocols, or has over 1,024 characters')
}

/** Whether the caller waits for a go-ahead before it sends the body. */
export function expectsContinue({ fields }: RequestHead): boolean {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (isNamed(fields[at] ?? '', 'expect')) return true
  }
  return false
}
