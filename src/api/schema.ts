import type { FastifyPluginAsync, FastifyPluginOptions, FastifyTypeProvider, RawServerDefault } from 'fastify'

/**
 * JSON schemas with their TypeScript types, for the routes. Fastify validates and serializes by them, and the OpenAPI
 * description is made of them. (TypeBox does the same and far more, for 22 MB and 0.12 s of every relay's start.)
 */
export interface Schema<T> {
  /** Never there: carries the type. */
  readonly [STATIC]?: T
  readonly type?: string
}

declare const STATIC: unique symbol
const OPTIONAL = Symbol('optional')

interface OptionalSchema<T> extends Schema<T> {
  readonly [OPTIONAL]: true
}

type Members = Readonly<Record<string, Schema<unknown>>>
type OptionalKeys<M extends Members> = { [K in keyof M]: M[K] extends OptionalSchema<unknown> ? K : never }[keyof M]
type TypeOf<S> = S extends Schema<infer T> ? T : unknown
type ObjectOf<M extends Members> = { [K in Exclude<keyof M, OptionalKeys<M>>]: TypeOf<M[K]> } & {
  [K in OptionalKeys<M>]?: TypeOf<M[K]>
}

interface Annotations {
  readonly description?: string
}

interface IntegerRange extends Annotations {
  readonly minimum?: number
  readonly maximum?: number
  /** Makes the value present after validation. */
  readonly default?: number
}

function schema<T>(json: object): Schema<T> {
  return json
}

/** Builders, a word for each kind of JSON value. */
export const Type = {
  String: (options: Annotations = {}) => schema<string>({ type: 'string', ...options }),
  /** A point in time, as `isoTime` writes it. */
  Time: (options: Annotations = {}) => schema<string>({ type: 'string', format: 'date-time', ...options }),
  Integer: (options: IntegerRange = {}) => schema<number>({ type: 'integer', ...options }),
  Number: (options: Annotations = {}) => schema<number>({ type: 'number', ...options }),
  Boolean: (options: Annotations = {}) => schema<boolean>({ type: 'boolean', ...options }),
  /** An answer without a body. */
  Null: (options: Annotations = {}) => schema<null>({ type: 'null', ...options }),
  /** The bytes of a file: for the description alone. */
  Binary: (options: Annotations = {}) => schema<string>({ type: 'string', format: 'binary', ...options }),
  Array: <T>(items: Schema<T>) => schema<T[]>({ type: 'array', items }),
  /** An object of any members, all of one type. */
  Record: <T>(values: Schema<T>) => schema<Record<string, T>>({ type: 'object', additionalProperties: values }),
  Optional: <T>(inner: Schema<T>): OptionalSchema<T> => ({ ...inner, [OPTIONAL]: true }),
  Object: <M extends Members>(properties: M) =>
    schema<ObjectOf<M>>({
      type: 'object',
      properties,
      required: Object.keys(properties).filter(name => !(OPTIONAL in (properties[name] ?? {})))
    })
}

interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: TypeOf<this['schema']>
  readonly serializer: TypeOf<this['schema']>
}

/** A group of routes whose handlers are typed by their schemas. */
export type Routes<Options extends FastifyPluginOptions> = FastifyPluginAsync<Options, RawServerDefault, SchemaTypes>

/** Answers with a file, for the description of the API. */
export const FILE_ANSWERS = {
  200: Type.Binary({ description: 'The file' }),
  206: Type.Binary({ description: 'The part of it that `Range` names' }),
  304: Type.Null({ description: 'The caller has it already' })
}
