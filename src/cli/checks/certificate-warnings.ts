import { X509Certificate } from 'node:crypto'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { Config } from '../../config/config.js'
import { readRegularFile } from '../../file-system/files/regular-file.js'
import { PURPOSE_URN } from '../../keys/certificates/certificate-purpose.js'
import { certificateBlocks } from '../../keys/certificates/pem.js'
import { printable } from '../../values/text/printable.js'
import { isoTime } from '../../values/time/iso-time.js'

/** The longest chain that is followed: the certificates may issue each other in a circle. */
const MAX_CHAIN = 10

interface CertificateFile {
  /** The setting that names it. */
  readonly key: string
  readonly path: string
  /**
   * Whether it is this machine's own: then the first one in the file counts, and the others are its chain. Else one
   * good one is enough.
   */
  readonly isOwn?: boolean
  /** The remedy for one that is not valid, where another one cannot just take its place. */
  readonly remedy?: string
}

const USER_ID = 'UID='

const NEW_TREE = 'the clock was wrong at `treeline init`, or its time is over: make the tree anew in another folder'

/**
 * Warnings of certificates that others refuse, or that let nobody in: ended, not valid yet, or not of the CA that is
 * trusted. A relay starts with them nevertheless, since some are renewed then. Unreadable files are reported
 * elsewhere.
 */
export async function relayCertificateWarnings(config: Config, nowMs = Date.now()): Promise<string[]> {
  const { general, upstream, tree } = config
  const { httpsCertificateFile, caPath, peerAuthentication } = general
  const own = fileOf('general.https_certificate_file', httpsCertificateFile, true)
  const ca = peerAuthentication === 'cert_validation' ? fileOf('general.ca_path', caPath) : []
  const pins =
    peerAuthentication === 'cert_pinning'
      ? fileOf('output.upstream.server_certificate_file', upstream?.serverCertificateFile)
      : []
  const treeCa = tree.source === 'members' ? [{ key: 'tree.ca_file', path: tree.caFile, remedy: NEW_TREE }] : []
  const others = ca.filter(({ path }) => path !== treeCa[0]?.path)
  const validity = await validityWarnings([...own, ...others, ...pins, ...treeCa], nowMs)
  return [
    ...validity,
    ...(await identityWarnings(own, 'general.node_id', general.nodeId)),
    ...(await issuerWarnings(own, ca))
  ]
}

/** Warnings about the certificates of an agent, as {@link relayCertificateWarnings} gives them for a relay. */
export async function agentCertificateWarnings(config: AgentConfig, nowMs = Date.now()): Promise<string[]> {
  const { certificateFile, upstream, nodeId } = config
  const own = fileOf('certificate_file', certificateFile, true)
  const files = [
    ...own,
    ...fileOf('upstream.server_certificate_file', upstream.serverCertificateFile),
    ...fileOf('upstream.ca_file', upstream.serverCertificateFile === undefined ? upstream.caFile : undefined)
  ]
  return [...(await validityWarnings(files, nowMs)), ...(await identityWarnings(own, 'node_id', nodeId))]
}

function fileOf(key: string, path: string | undefined, isOwn = false): CertificateFile[] {
  return path === undefined ? [] : [{ key, path, isOwn }]
}

async function validityWarnings(files: readonly CertificateFile[], nowMs: number): Promise<string[]> {
  const warnings = await Promise.all(files.map(file => validityWarning(file, nowMs)))
  return warnings.filter(warning => warning !== undefined)
}

async function validityWarning(file: CertificateFile, nowMs: number): Promise<string | undefined> {
  const certificates = await readCertificates(file.path)
  const counted = file.isOwn ? certificates.slice(0, 1) : certificates
  const reasons = counted.map(certificate => whyNotValid(certificate, nowMs))
  const [reason] = reasons
  if (reason === undefined || reasons.includes(undefined)) return undefined
  const isRenewed = file.isOwn && counted[0]?.subjectAltName?.includes(PURPOSE_URN) === true
  const remedy = isRenewed
    ? 'it is renewed at the start while the root still allows that (tree.renewal_grace); after that, join again'
    : (file.remedy ?? 'put one in its place that is valid')
  return `${file.key} ${file.path}: the certificate ${reason}, and is refused; if the clock of this machine is right, ${remedy}`
}

function whyNotValid({ validFrom, validTo }: X509Certificate, nowMs: number): string | undefined {
  const [startMs, endMs] = [Date.parse(validFrom), Date.parse(validTo)]
  if (endMs <= nowMs) return `ended at ${isoTime(endMs)}`
  if (startMs > nowMs) return `is not valid before ${isoTime(startMs)}`
  return undefined
}

/** Others know a machine by its certificate, whatever it calls itself. One that names no node, as a web server's, is left alone. */
async function identityWarnings([own]: readonly CertificateFile[], setting: string, nodeId: string): Promise<string[]> {
  const [certificate] = own === undefined ? [] : await readCertificates(own.path)
  const ids = certificate === undefined ? [] : userIdsOf(certificate)
  if (own === undefined || ids.length === 0 || ids.includes(nodeId)) return []
  const names = ids.map(printable).join(', ')
  return [
    `${own.key} ${own.path}: the certificate is that of ${names}, and ${setting} is ${nodeId}: others take this machine for ${names}; correct one of both`
  ]
}

/** Reads them from the subject as text: `toLegacyObject` loads parts of Node in an order in which TLS servers fail. */
function userIdsOf({ subject }: X509Certificate): string[] {
  return subject
    .split(/\n|(?<!\\) \+ /)
    .filter(part => part.startsWith(USER_ID))
    .map(part => part.slice(USER_ID.length))
}

async function issuerWarnings([own]: readonly CertificateFile[], [ca]: readonly CertificateFile[]): Promise<string[]> {
  if (own === undefined || ca === undefined) return []
  const [certificate, ...chain] = await readCertificates(own.path)
  const trusted = await readCertificates(ca.path)
  if (certificate === undefined || trusted.length === 0 || isIssuedBy(certificate, chain, trusted)) return []
  return [
    `${own.key} ${own.path}: the certificate was not issued by one in ${ca.key} ${ca.path}: relays that trust the same CA refuse it; have one issued by it, or add the chain to the file`
  ]
}

/** Whether it leads to a trusted one over certificates of the chain. */
function isIssuedBy(
  certificate: X509Certificate,
  chain: readonly X509Certificate[],
  trusted: readonly X509Certificate[]
): boolean {
  let current: X509Certificate | undefined = certificate
  for (let length = 0; current !== undefined && length < MAX_CHAIN; length += 1) {
    const below: X509Certificate = current
    if (trusted.some(each => each.fingerprint256 === below.fingerprint256 || issued(each, below))) return true
    current = chain.find(each => each.fingerprint256 !== below.fingerprint256 && issued(each, below))
  }
  return false
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** The certificates of a file that can be read; an unreadable one is reported by the code that reads it for use. */
async function readCertificates(path: string): Promise<X509Certificate[]> {
  try {
    const blocks = certificateBlocks((await readRegularFile(path)).toString('utf8'))
    return blocks.map(block => new X509Certificate(block))
  } catch {
    return []
  }
}
