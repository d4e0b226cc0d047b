import { headerName } from '../readers/header-name.js'
import type { Section } from '../readers/section.js'
import { oneOf, pathFrom, textReader } from '../readers/value-readers.js'
import { type CredentialsConfig, SECRET_KEYS, type SecretPlace } from './service-config.js'

const variableName = textReader('the name of an environment variable', text => /^[A-Za-z_]\w{0,127}$/.test(text))

const profileName = textReader('the name of a profile in the file', text => /^[^\p{C}[\]]{1,128}$/u.test(text))

const TYPES = ['bearer', 'token', 'basic', 'header', 'client_certificate', 'aws'] as const

/** Reads `[service.credentials]`; undefined where there are none, or a problem was noted. */
export function readServiceCredentials(service: Section, directory: string): CredentialsConfig | undefined {
  if (service.raw('credentials') === undefined) return undefined
  const section = service.section('credentials')
  const type = section.required('type', oneOf(...TYPES))
  const place = readPlace(section, directory, type)
  const header = section.optional('header', headerName)
  const keyPlace = readKeyPlace(section, directory, place)
  const profile = section.read('profile', profileName, 'default')
  if (type === undefined || place === undefined) return undefined
  if (section.raw('profile') !== undefined && (type !== 'aws' || place.kind !== 'file')) {
    section.problem('profile', 'is for type = "aws" with a file alone')
  }
  if (type !== 'header' && section.raw('header') !== undefined) {
    section.problem('header', `is for type = "header" alone, and type is ${type}`)
  }
  if (type !== 'client_certificate' && keyPlace !== undefined) {
    section.problem(`key_${keyPlace.kind}`, `is for type = "client_certificate" alone, and type is ${type}`)
  }
  if (type === 'client_certificate') return { type, place, keyPlace }
  if (type === 'aws') return { type, place, profile }
  if (type !== 'header') return { type, place }
  if (header === undefined && section.raw('header') === undefined) {
    section.problem('header', `missing: expected ${headerName.expected}`)
  }
  return header === undefined ? undefined : { type, place, header }
}

/** The one of `file`, `env` and `secret` that is there. */
function readPlace(section: Section, directory: string, type: CredentialsConfig['type'] | undefined) {
  const path = section.optional('file', pathFrom(directory))
  const name = section.optional('env', variableName)
  const folder = section.optional('secret', pathFrom(directory))
  const given = ['file', 'env', 'secret'].filter(key => section.raw(key) !== undefined)
  if (given.length > 1) section.problem(given[1] ?? '', `give this or ${given[0]}, not both`)
  if (given.length === 0) {
    const keys = type === undefined ? '' : ` (with ${SECRET_KEYS[type].join(' and ')} in it)`
    section.problem(
      'file',
      `missing: the secret is in a file, in an environment variable (env), or in the folder of a mounted Kubernetes secret${keys} (secret)`
    )
  }
  return placeOf(path, name, folder)
}

/** The place of a private key: of the kind that the certificate's place has. */
function readKeyPlace(section: Section, directory: string, place: SecretPlace | undefined): SecretPlace | undefined {
  const keyPlace = placeOf(
    section.optional('key_file', pathFrom(directory)),
    section.optional('key_env', variableName),
    undefined
  )
  for (const kind of ['file', 'env'] as const) {
    if (section.raw(`key_${kind}`) !== undefined && place !== undefined && place.kind !== kind) {
      section.problem(`key_${kind}`, `goes together with ${kind}`)
    }
  }
  return keyPlace
}

function placeOf(
  path: string | undefined,
  name: string | undefined,
  folder: string | undefined
): SecretPlace | undefined {
  if (path !== undefined) return { kind: 'file', path }
  if (name !== undefined) return { kind: 'env', name }
  return folder === undefined ? undefined : { kind: 'secret', folder }
}
