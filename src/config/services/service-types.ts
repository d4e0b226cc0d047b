import type { Section } from '../readers/section.js'
import { pathFrom, textReader } from '../readers/value-readers.js'
import type { AwsScope, ClusterConfig, CredentialsConfig } from './service-config.js'

/** The rules of a type of service. */
export interface ServiceType {
  /** The types of credentials that a service of this type takes. */
  readonly credentials: readonly CredentialsConfig['type'][]
}

/** Takes what a server in general may ask for. */
const ANY: ServiceType = { credentials: ['bearer', 'token', 'basic', 'header', 'client_certificate'] }
/** Takes what servers with a known log-in ask for: none has a header of its own. */
const KNOWN: ServiceType = { credentials: ['bearer', 'token', 'basic', 'client_certificate'] }

/** The types of birger (contract, table 2), and `http` for all else. */
const TYPES: Readonly<Record<string, ServiceType>> = {
  http: ANY,
  argocd: { credentials: ['bearer'] },
  aws: { credentials: ['aws'] },
  clouddriver: KNOWN,
  fiat: KNOWN,
  front50: KNOWN,
  jenkins: KNOWN,
  kubernetes: { credentials: ['bearer', 'basic', 'client_certificate'] }
}
const OWN_TYPE = /^x-[A-Za-z0-9_-]{1,62}$/

/** The folder at which the kubelet mounts the service account of a pod. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

export const serviceType = textReader(
  `${Object.keys(TYPES).join(', ')}, or one of your own that begins with x-, such as "x-wiki"`,
  text => Object.hasOwn(TYPES, text) || OWN_TYPE.test(text)
)

const contextName = textReader('the name of a context in the kubeconfig', text => /^[^\p{C}]{1,256}$/u.test(text))
const region = textReader('a region of AWS such as "eu-central-1"', text => /^[a-z0-9-]{1,64}$/.test(text))
const signingName = textReader('the name of a service of AWS such as "s3" or "dynamodb"', text =>
  /^[a-z0-9-]{1,64}$/.test(text)
)

/** Notes credentials that a type does not take, and those that it lacks. */
export function checkServiceCredentials(
  section: Section,
  type: string,
  credentials: CredentialsConfig | undefined
): void {
  const { credentials: taken } = TYPES[type] ?? ANY
  if (credentials !== undefined && !taken.includes(credentials.type)) {
    const list = taken.length === 1 ? `${taken[0]} alone` : taken.join(', ')
    section.problem('credentials', `a service of type ${type} takes ${list}, not ${credentials.type}`)
  } else if (type === 'aws' && credentials === undefined && section.raw('credentials') === undefined) {
    section.problem(
      'credentials',
      'missing: requests for AWS are signed with keys, so type = "aws" needs credentials of the type aws'
    )
  }
}

/** Reads the settings of `type = "aws"`. @returns undefined for another type, or where a problem was noted */
export function readAwsScope(section: Section, type: string): AwsScope | undefined {
  if (type !== 'aws') {
    refuse(section, ['aws_region', 'aws_service'], `is for type = "aws" alone, and type is ${type}`)
    return undefined
  }
  const scope = {
    region: section.required('aws_region', region),
    service: section.required('aws_service', signingName)
  }
  return scope.region === undefined || scope.service === undefined
    ? undefined
    : { region: scope.region, service: scope.service }
}

/**
 * Reads the way to a cluster without a `url`.
 * @returns undefined for another type, and where there is a `url`
 */
export function readCluster(section: Section, type: string, directory: string): ClusterConfig | undefined {
  const keys = ['kubeconfig', 'context', 'service_account']
  const hasUrl = section.raw('url') !== undefined
  if (type !== 'kubernetes' || hasUrl) {
    refuse(
      section,
      keys,
      hasUrl && type === 'kubernetes'
        ? 'is given in place of url: keep one'
        : `is for type = "kubernetes" alone, and type is ${type}`
    )
    return undefined
  }
  const file = section.optional('kubeconfig', pathFrom(directory))
  const context = section.optional('context', contextName)
  const folder = section.optional('service_account', pathFrom(directory)) ?? SERVICE_ACCOUNT
  refuse(
    section,
    ['ca_file', 'insecure', 'credentials'],
    'is for services with a url: a cluster without one has its own'
  )
  if (section.raw('kubeconfig') === undefined) {
    refuse(section, ['context'], 'is the name of a context in a kubeconfig: set kubeconfig as well')
    return { kind: 'service-account', folder }
  }
  refuse(section, ['service_account'], 'is given beside kubeconfig: keep one')
  return file === undefined ? undefined : { kind: 'kubeconfig', file, context }
}

function refuse(section: Section, keys: readonly string[], why: string): void {
  for (const key of keys) if (section.raw(key) !== undefined) section.problem(key, why)
}
