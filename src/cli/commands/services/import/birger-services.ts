import { CLIENT_KEY_RULE, isClientKey } from '../../../../keys/tokens/client-key.js'
import { printable } from '../../../../values/text/printable.js'
import { credentialsOf, type ImportedCredentials, type Places, type SecretFile } from './birger-credentials.js'
import { LeftOutError } from './left-out-error.js'
import { type Remark, YamlMap } from './yaml-map.js'

/** A `[[service]]` of `main.conf` or `agent.conf`, with its keys. */
export interface ImportedService {
  readonly key: string
  readonly type: string
  readonly url?: string
  readonly kubeconfig?: string
  readonly insecure?: true
  readonly annotations?: Readonly<Record<string, string>>
  readonly credentials?: ImportedCredentials
}

export interface BirgerImport {
  readonly services: readonly ImportedService[]
  readonly secrets: readonly SecretFile[]
  /** The remarks, sorted by line. */
  readonly remarks: readonly Remark[]
  /** The number of enabled services that are left out. */
  readonly leftOut: number
}

/** Types with the same name here. */
const TYPES = new Set(['argocd', 'clouddriver', 'fiat', 'front50', 'jenkins', 'kubernetes'])
const OWN_TYPE = /^x-[A-Za-z0-9_-]{1,62}$/
const INCOMING_KEYS = ['name', 'port', 'useHTTP', 'serviceType', 'destination', 'destinationService']

/**
 * Reads the services of birger's `services.yaml` as entries of ours.
 * @param name of the file, for messages
 * @param places of the files that entries name
 * @throws {UsageError} for what is no YAML
 */
export function importBirgerServices(text: string, name: string, places: Places): BirgerImport {
  const remarks: Remark[] = []
  const root = YamlMap.parse(text, name, remarks)
  const services = new Map<string, ImportedService>()
  const secrets: SecretFile[] = []
  let leftOut = 0
  for (const entry of root.maps('outgoingServices')) {
    try {
      for (const { service, secret } of importService(entry, places, services)) {
        services.set(service.key, service)
        if (secret !== undefined) secrets.push(secret)
      }
    } catch (error) {
      if (!(error instanceof LeftOutError)) throw error
      leftOut += 1
      error.at.remark(`${nameOf(entry)} is left out: ${error.message}`, error.key)
    }
  }
  for (const entry of root.maps('incomingServices')) {
    entry.remark(`${nameOf(entry)} of incomingServices is left out: services from above to below are not imported`)
    for (const key of INCOMING_KEYS) entry.has(key)
    entry.remarkUnknown('a service of incomingServices')
  }
  if (root.has('agentInfo')) root.remark('agentInfo is left out: only services have annotations', 'agentInfo')
  root.remarkUnknown('the file')
  return {
    services: [...services.values()],
    secrets,
    remarks: remarks.sort((one, other) => one.line - other.line),
    leftOut
  }
}

interface Imported {
  readonly service: ImportedService
  readonly secret?: SecretFile
}

/** One for each of its `namespaces`, else one. @throws {LeftOutError} */
function importService(entry: YamlMap, places: Places, others: ReadonlyMap<string, ImportedService>): Imported[] {
  const where = nameOf(entry)
  if (!entry.flag('enabled')) {
    entry.remark(`${where} is left out: it is not enabled`)
    return []
  }
  const type = typeOf(entry, where)
  const config = entry.map('config')
  const named = entry.maps('namespaces')
  const annotations = entry.map('annotations')?.allTexts() ?? {}
  for (const key of ['accountId', 'assumeRole']) {
    if (entry.has(key)) entry.remark(`${key} of ${where} is left out: it is for AWS alone`, key)
  }
  const reach = reachOf(entry, config, type)
  const imported = (named.length === 0 ? [entry] : named).map(place => {
    const key = keyOf(place, others)
    const { credentials, secret } = credentialsOf(config?.map('credentials'), { key, type, where, places })
    const listed = place === entry ? [] : place.texts('namespaces')
    if (place !== entry) place.remarkUnknown(`namespaces of ${where}`)
    const shown = { ...annotations, ...(listed.length === 0 ? {} : { namespaces: listed.join(', ') }) }
    const about = Object.keys(shown).length === 0 ? {} : { annotations: shown }
    const service = { key, type, ...reach, ...about, ...(credentials === undefined ? {} : { credentials }) }
    return { service, ...(secret === undefined ? {} : { secret }) }
  })
  config?.remarkUnknown(`config of ${where}`)
  entry.remarkUnknown(where)
  return imported
}

function nameOf(entry: YamlMap): string {
  const name = entry.text('name')
  return name === undefined ? 'a service without a name' : `the service ${printable(name)}`
}

function keyOf(place: YamlMap, others: ReadonlyMap<string, ImportedService>): string {
  const key = place.text('name') ?? ''
  if (!isClientKey(key)) {
    throw new LeftOutError(`${JSON.stringify(key)} cannot be a key, which has ${CLIENT_KEY_RULE}`, place, 'name')
  }
  if (others.has(key)) throw new LeftOutError('there is one of that name before it', place, 'name')
  return key
}

function typeOf(entry: YamlMap, where: string): string {
  const type = entry.text('type') ?? ''
  if (TYPES.has(type) || OWN_TYPE.test(type)) return type
  if (type === 'aws') {
    const why =
      'a service of type aws has a url, a region and a service here, which the file does not have: write it by hand'
    throw new LeftOutError(why, entry, 'type')
  }
  const own = `x-${type}`
  if (!OWN_TYPE.test(own)) throw new LeftOutError(`${JSON.stringify(type)} cannot be a type`, entry, 'type')
  entry.remark(`the type ${type} of ${where} becomes ${own}: types of one's own begin with x-`, 'type')
  return own
}

/** The way to the service. */
function reachOf(
  entry: YamlMap,
  config: YamlMap | undefined,
  type: string
): Pick<ImportedService, 'url' | 'kubeconfig' | 'insecure'> {
  const where = nameOf(entry)
  const url = config?.text('url')?.replace(/\/$/, '')
  const kubeconfig = config?.text('kubeConfig')
  const isInsecure = config?.flag('insecure') === true
  if (type === 'kubernetes') {
    if (url !== undefined) config?.remark(`url of ${where} is left out: its kubeconfig has it`, 'url')
    if (kubeconfig === undefined) {
      entry.remark(
        `${where} has no kubeConfig: it gets the service account of the pod, not /app/config/kubeconfig.yaml`
      )
    }
    return kubeconfig === undefined ? {} : { kubeconfig }
  }
  if (kubeconfig !== undefined)
    config?.remark(`kubeConfig of ${where} is left out: it is for type kubernetes`, 'kubeConfig')
  if (url === undefined) throw new LeftOutError('it has no config.url', entry)
  if (!isServiceUrl(url)) {
    const rule = 'http:// or https:// and a host, without a user, ? and #'
    throw new LeftOutError(`its url cannot be used: it needs ${rule}`, config ?? entry, 'url')
  }
  if (isInsecure) {
    config?.remark(
      `${where} is insecure: its certificate is not verified; name its issuer in ca_file instead`,
      'insecure'
    )
  }
  return { url, ...(isInsecure ? { insecure: true } : {}) }
}

function isServiceUrl(text: string): boolean {
  if (!/^https?:\/\/[^?#\\\s]+$/i.test(text) || !URL.canParse(text)) return false
  const { hostname, username, password } = new URL(text)
  return hostname !== '' && username === '' && password === ''
}
