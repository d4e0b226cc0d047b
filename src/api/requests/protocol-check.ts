import type { FastifyReply, FastifyRequest } from 'fastify'
import { PROTOCOL_HEADER } from '../../network/header-names.js'
import { RelayError } from '../../values/failures/relay-error.js'
import {
  commonVersion,
  describeMismatch,
  formatVersions,
  parseVersions,
  type VersionRange
} from '../../values/protocol-version.js'
import { headerText } from '../callers/request-origin.js'

/**
 * Lets a neighbour's request pass that states versions of which one is ours, and states ours in the answer. Existing
 * relays and all other callers state none; over a link it is settled when that opens.
 * @throws {RelayError} NO_COMMON_VERSION
 */
export function checkProtocol(request: FastifyRequest, reply: FastifyReply, own: VersionRange): void {
  const stated = headerText(request, PROTOCOL_HEADER)
  if (stated === undefined) return
  reply.header(PROTOCOL_HEADER, formatVersions(own))
  const theirs = parseVersions(stated)
  if (theirs === undefined) {
    throw new RelayError('INVALID_INPUT', `invalid ${PROTOCOL_HEADER}, should be such as ${formatVersions(own)}`)
  }
  if (commonVersion(own, theirs) === undefined) {
    throw new RelayError('NO_COMMON_VERSION', describeMismatch('the caller', theirs, own))
  }
}
