import type { ServiceRequest } from '../exchange/service-request.js'
import { openAuthorizedUser, openFields, type Sealing } from '../sealing/sealed-fields.js'

/** The parts of requests that are opened for a service, and the seals. */
export interface OpenedRequests {
  readonly sealing: Sealing
  /** Whether the service is Spinnaker's Fiat, which is asked for users in the path as well. */
  readonly isFiat: boolean
}

/** Opens what relays have sealed in a request. @throws {BrokenSealError} for what is not sealed */
export function openRequest(request: ServiceRequest, { sealing, isFiat }: OpenedRequests): ServiceRequest {
  const { method, target, fields } = request.head
  const nowMs = Date.now()
  const head = {
    ...request.head,
    target: isFiat ? openAuthorizedUser(method, target, sealing, nowMs) : target,
    fields: openFields(fields, sealing, nowMs)
  }
  return { ...request, head }
}
