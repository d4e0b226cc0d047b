import { TLSSocket } from 'node:tls'
import { ownNames } from '../../api/callers/own-names.js'
import { comesFromElsewhere, foreignHost, ownHosts } from '../../api/callers/web-page.js'
import type { Config } from '../../config/config.js'
import { keyNamedBy, mayCall } from '../../keys/tokens/token-scope.js'
import { sourceOf } from '../../network/sources/source-address.js'
import { type CallerRequest, isServiceRefusal, type ServiceDestination } from '../../services/entry/service-entry.js'
import type { ServiceRefusal } from '../../services/entry/service-refusal.js'
import { readShownTokens, type ShownToken, withoutTokens } from '../../services/entry/shown-tokens.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { KnownTokens } from '../tokens/known-tokens.js'
import {
  behindProxy,
  foreignPage,
  noClient,
  outsideNetworks,
  tooManyTokens,
  unknownHost
} from './admission-refusals.js'
import { admittingAddress, passageOf, readEvidence } from './caller-evidence.js'
import { TokenHolders } from './token-holders.js'
import { WrongTokens } from './wrong-tokens.js'

export interface ServiceAdmissionOptions {
  /** The one in force. */
  readonly config: () => Config
  readonly topology: CurrentTopology
  readonly tokens: Pick<KnownTokens, 'find' | 'scopesOf' | 'onChange'>
}

/** The facts about a caller besides its tokens. */
interface Standing {
  /** The reason why the address is not enough. */
  readonly refusal: ServiceRefusal | undefined
  readonly isFromElsewhere: boolean
  /** The source by which wrong tokens are counted. */
  readonly source: string
}

/**
 * Finds the destination of a request.
 * @param keys those of services that tokens of the caller name: each may call this one alone
 */
export type FindDestination = (request: CallerRequest, keys: readonly string[]) => ServiceDestination | ServiceRefusal

/** Decides whether a request is passed on, and to which service. */
export type AdmitToService = (request: CallerRequest, find: FindDestination) => ServiceDestination | ServiceRefusal

/** Decides who may call services, by the connection and the headers. */
export function createServiceAdmission(options: ServiceAdmissionOptions): AdmitToService {
  const { config, topology, tokens } = options
  const isOwnHost = ownHosts(ownNames(config, topology))
  const wrong = new WrongTokens()
  const holders = new TokenHolders(tokens)

  function standingOf(request: CallerRequest, shown: readonly ShownToken[]): Standing {
    const { services, general } = config()
    const evidence = readEvidence(request)
    const address = admittingAddress(evidence, general.trustedProxies)
    const way = passageOf(evidence, request.socket instanceof TLSSocket, general.trustedProxies)
    const isFromElsewhere = comesFromElsewhere(evidence, isOwnHost, way)
    const source = sourceOf(address ?? request.remoteAddress)
    return { refusal: refusalOf(), isFromElsewhere, source }

    function refusalOf(): ServiceRefusal | undefined {
      if (address === undefined) return behindProxy(shown)
      if (!services.allowedNetworks.contains(address)) return outsideNetworks(address, shown)
      const host = foreignHost(evidence, isOwnHost, way)
      if (host !== undefined) return unknownHost(host)
      return isFromElsewhere ? foreignPage() : undefined
    }
  }

  /** Admits by the tokens, which never reach the service, or by the address. */
  function admitWith(
    shown: readonly ShownToken[],
    request: CallerRequest,
    find: FindDestination
  ): ServiceDestination | ServiceRefusal {
    const { refusal, isFromElsewhere, source } = standingOf(request, shown)
    const waitMs = refusal?.status === 401 ? wrong.waitMs(source) : 0
    if (waitMs > 0) return tooManyTokens(waitMs)
    const known = shown.flatMap(one => {
      const hash = tokens.find(one.token)
      return hash === undefined ? [] : [{ ...one, hash }]
    })
    if (known.length === 0 && refusal !== undefined) {
      if (refusal.status === 401) for (const { token } of shown) wrong.count(source, token)
      return refusal
    }
    const named = known.flatMap(({ hash }) => keyNamedBy(tokens.scopesOf(hash)) ?? [])
    const destination = find(request, named)
    if (isServiceRefusal(destination)) return destination
    // a browser sends a password by itself, whatever page has it ask
    const speaks = known.filter(({ place }) => place !== 'basic' || !isFromElsewhere)
    const { key } = destination
    const admitted = { ...destination, fields: withoutTokens(request.head.fields, known) }
    if (refusal === undefined) return admitted
    if (speaks.length === 0) return foreignPage()
    const hashes = speaks.map(({ hash }) => hash).filter(hash => mayCall(tokens.scopesOf(hash), key))
    return hashes.length === 0 ? noClient(key) : { ...admitted, watchRight: end => holders.add(key, hashes, end) }
  }

  return (request, find) => {
    const shown = readShownTokens(request.head.fields)
    const answer =
      shown.length > 0 ? admitWith(shown, request, find) : (standingOf(request, shown).refusal ?? find(request, []))
    if (isServiceRefusal(answer)) return answer
    return { ...answer, isByTrustedProxy: config().general.trustedProxies.contains(request.remoteAddress) }
  }
}
