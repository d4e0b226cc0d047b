/** The columns of a table: the name in a row to the name in the table. One list for all statements of the table. */
export type TableColumns<Row> = { readonly [Name in keyof Row]: string }

/** `a, asked_by AS askedBy`: what a SELECT names, so that it gives rows. */
export function selectList<Row>(columns: TableColumns<Row>): string {
  return Object.entries<string>(columns)
    .map(([name, column]) => (name === column ? column : `${column} AS ${name}`))
    .join(', ')
}

/**
 * `a = @a, b = coalesce(@b, b)`, to be run with a row.
 * @param once names whose value stays where the row has none
 */
export function setList<Row>(columns: TableColumns<Row>, once: readonly (keyof Row)[] = []): string {
  return Object.entries<string>(columns)
    .map(([name, column]) => {
      const stays = once.some(one => one === name)
      return `${column} = ${stays ? `coalesce(@${name}, ${column})` : `@${name}`}`
    })
    .join(', ')
}

/** `INSERT INTO table (a, asked_by) VALUES (@a, @askedBy)`, to be run with a row. */
export function insertInto<Row>(table: string, columns: TableColumns<Row>): string {
  const names = Object.keys(columns).map(name => `@${name}`)
  return `INSERT INTO ${table} (${Object.values<string>(columns).join(', ')}) VALUES (${names.join(', ')})`
}
