import { readFileSync } from 'node:fs'
import { canonicalUrl } from '../../../src/api/requests/canonical-url.js'
import { originForm } from '../../../src/api/requests/request-target.js'

/** The parts of `docs/openapi.json` that are looked at. */
interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly responses: Responses }
}

interface Operation {
  readonly responses: Responses
  /** There where any 4xx may come from another relay. */
  readonly 'x-passes-on'?: string
}

type Responses = Readonly<Record<string, Response>>

interface Response {
  readonly $ref?: string
  readonly content?: Readonly<Record<string, unknown>>
}

/** An answer of a relay, and the request that it answers. */
export interface Answered {
  readonly method: string
  readonly target: string
  readonly status: number
  /** The `content-type`; undefined where there is none. */
  readonly type: string | undefined
}

const SHARED = '#/components/responses/'

/** Says what of an answer is not in the API's description. */
export function createAnswerCheck(): (answered: Answered) => string | undefined {
  const file = new URL('../../../docs/openapi.json', import.meta.url)
  const { paths, components }: Description = JSON.parse(readFileSync(file, 'utf8'))
  const routes = Object.entries(paths).map(([path, methods]) => ({ path, methods, pattern: patternOf(path) }))
  routes.sort((a, b) => countOf(a.path) - countOf(b.path)) // `remote-run/nodes` before `{…}`

  return ({ method, target, status, type }) => {
    const [path = ''] = canonicalUrl(originForm(target)).split('?')
    const asked = method.toLowerCase()
    const found = routes.find(({ pattern, methods }) => pattern.test(path) && responsesOf(methods, asked) !== undefined)
    if (found === undefined) return undefined
    const response = resolve(responsesOf(found.methods, asked)?.[status], components.responses)
    const what = `${method} ${found.path} answered ${status}`
    const isPassedOn = found.methods[asked]?.['x-passes-on'] !== undefined && status >= 400 && status < 500
    if (response === undefined && isPassedOn) return undefined
    if (response === undefined) return `${what}, which its description does not name`
    const types = Object.keys(response.content ?? {})
    const media = type?.split(';')[0]?.trim()
    if (method === 'HEAD' || types.includes('*/*') || media === undefined) return undefined
    return types.includes(media) ? undefined : `${what} with ${media}, and its description names ${types.join(', ')}`
  }
}

/** The answers of a route by status; those of HEAD are those of GET where the route is no other. */
function responsesOf(methods: Readonly<Record<string, Operation>>, method: string): Responses | undefined {
  return (methods[method] ?? (method === 'head' ? methods.get : undefined))?.responses
}

function resolve(response: Response | undefined, shared: Responses): Response | undefined {
  return response?.$ref === undefined ? response : shared[response.$ref.slice(SHARED.length)]
}

function patternOf(path: string): RegExp {
  const escaped = path.replace(/[.]/g, '\\.')
  return new RegExp(`^${escaped.replaceAll('{*}', '.*').replaceAll(/\{\w+\}/g, '[^/]+')}$`)
}

function countOf(path: string): number {
  return path.split('{').length
}
