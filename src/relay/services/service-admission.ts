import { TLSSocket } from 'node:tls'
import { ownNames } from '../../api/callers/own-names.js'
import { comesFromElsewhere, foreignHost, ownHosts } from '../../api/callers/web-page.js'
import type { Config } from '../../config/config.js'
import type { TokenRight } from '../../keys/tokens/token-right.js'
import { keyNamedBy, mayCall } from '../../keys/tokens/token-scope.js'
import { sourceOf } from '../../network/sources/source-address.js'
import type { NamedService } from '../../services/entry/root-entry.js'
import { type CallerRequest, isServiceRefusal, type ServiceDestination } from '../../services/entry/service-entry.js'
import type { ServiceRefusal } from '../../services/entry/service-refusal.js'
import { readShownTokens, type ShownToken, withoutTokens } from '../../services/entry/shown-tokens.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { KnownTokens } from '../tokens/known-tokens.js'
import {
  badCertificate,
  behindProxy,
  foreignPage,
  noClient,
  outsideNetworks,
  type RefusedTokens,
  tooManyTokens,
  unknownHost
} from './admission-refusals.js'
import type { CallerCertificates } from './caller-certificates.js'
import { admittingAddress, passageOf, readEvidence } from './caller-evidence.js'
import { TokenHolders } from './token-holders.js'
import { WrongTokens } from './wrong-tokens.js'

export interface ServiceAdmissionOptions {
  /** The one in force. */
  readonly config: () => Config
  readonly topology: CurrentTopology
  readonly tokens: Pick<KnownTokens, 'find' | 'onChange'>
  readonly callers: CallerCertificates
}

/** A token that is ours, or the certificate of the connection. */
interface Shown {
  readonly place: ShownToken['place'] | 'certificate'
  readonly right: TokenRight
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
 * @param named by tokens and the certificate of the caller: each may call this one service alone
 */
export type FindDestination = (
  request: CallerRequest,
  named: readonly NamedService[]
) => ServiceDestination | ServiceRefusal

/** Decides whether a request is passed on, and to which service. */
export type AdmitToService = (request: CallerRequest, find: FindDestination) => ServiceDestination | ServiceRefusal

/** Decides who may call services, by the connection and the headers. */
export function createServiceAdmission(options: ServiceAdmissionOptions): AdmitToService {
  const { config, topology, tokens, callers } = options
  const isOwnHost = ownHosts(ownNames(config, topology))
  const wrong = new WrongTokens()
  const holders = new TokenHolders(tokens)

  function standingOf(request: CallerRequest, refused: RefusedTokens): Standing {
    const { services, general } = config()
    const evidence = readEvidence(request)
    const address = admittingAddress(evidence, general.trustedProxies)
    const way = passageOf(evidence, request.socket instanceof TLSSocket, general.trustedProxies)
    const isFromElsewhere = comesFromElsewhere(evidence, isOwnHost, way)
    const source = sourceOf(address ?? request.remoteAddress)
    return { refusal: refusalOf(), isFromElsewhere, source }

    function refusalOf(): ServiceRefusal | undefined {
      if (address === undefined) return behindProxy(refused)
      if (!services.allowedNetworks.contains(address)) return outsideNetworks(address, refused)
      const host = foreignHost(evidence, isOwnHost, way)
      if (host !== undefined) return unknownHost(host)
      return isFromElsewhere ? foreignPage() : undefined
    }
  }

  /** Admits by the tokens, which never reach the service, by the certificate, or by the address. */
  function admitWith(
    shown: readonly ShownToken[],
    certificate: TokenRight | undefined,
    request: CallerRequest,
    find: FindDestination
  ): ServiceDestination | ServiceRefusal {
    const { refusal, isFromElsewhere, source } = standingOf(request, { shown })
    const waitMs = refusal?.status === 401 && shown.length > 0 ? wrong.waitMs(source) : 0
    if (waitMs > 0) return tooManyTokens(waitMs)
    const ours = shown.flatMap(one => {
      const right = tokens.find(one.token)
      return right === undefined ? [] : [{ ...one, right }]
    })
    const known: Shown[] = certificate === undefined ? ours : [...ours, { place: 'certificate', right: certificate }]
    const good = known.filter(({ right }) => right.whyNot() === undefined)
    if (good.length === 0 && refusal !== undefined) {
      if (refusal.status !== 401) return refusal
      for (const { token } of shown.filter(one => !ours.some(({ at }) => at === one.at))) wrong.count(source, token)
      const whyNot = ours[0]?.right.whyNot()
      return whyNot === undefined ? refusal : (standingOf(request, { shown, whyNot }).refusal ?? refusal)
    }
    const destination = find(request, good.flatMap(namedBy))
    if (isServiceRefusal(destination)) return destination
    // a browser sends a password and a certificate by itself, whatever page has it ask
    const speaks = good.filter(({ place }) => (place !== 'basic' && place !== 'certificate') || !isFromElsewhere)
    const { key } = destination
    const admitted = { ...destination, fields: withoutTokens(request.head.fields, ours) }
    if (refusal === undefined) return admitted
    if (speaks.length === 0) return foreignPage()
    const rights = speaks.map(({ right }) => right).filter(right => mayCall(right.scopes(), key))
    return rights.length === 0 ? noClient(key) : { ...admitted, watchRight: end => holders.add(key, rights, end) }
  }

  return (request, find) => {
    const shown = readShownTokens(request.head.fields)
    const certificate = callers.of(request.socket)
    const why = certificate?.whyNot()
    if (why !== undefined) return badCertificate(why)
    const answer =
      shown.length > 0 || certificate !== undefined
        ? admitWith(shown, certificate, request, find)
        : (standingOf(request, { shown }).refusal ?? find(request, []))
    if (isServiceRefusal(answer)) return answer
    return { ...answer, isByTrustedProxy: config().general.trustedProxies.contains(request.remoteAddress) }
  }
}

function namedBy({ place, right }: Shown): NamedService[] {
  const key = keyNamedBy(right.scopes())
  return key === undefined ? [] : [{ by: place === 'certificate' ? 'the certificate' : 'the token', key }]
}
