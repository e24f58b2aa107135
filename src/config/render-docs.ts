/**
 * docs/configuration.md, made from the fields: what help says, and the reason for each default.
 *
 * Run as a program (`node dist/src/config/render-docs.js`) it writes the file; a test fails when the file differs.
 */
import { realpathSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type CommandName, environmentName, type Field, flagName, GROUPS, isSwitch, isVariable } from './field.ts'
import { allOptions } from './options.ts'

const INTRODUCTION = `# Configuration

<!-- Made by src/config/render-docs.ts from src/config/fields/. Do not edit: change the fields and run \`npm run docs\`. -->

Every option can be set in three ways. The first in this list that sets it wins:

1. a flag: \`--workers 2\` or \`--workers=2\`; switches also as \`--no-keep-host\`
2. an environment variable: \`MIRRORSHARD_WORKERS=2\`; an empty one counts as not set
3. the YAML file named by \`--config\` (or \`MIRRORSHARD_CONFIG\`): \`workers: 2\`

Otherwise the default applies. The file is one flat mapping for all commands, and each command reads its own options, so one file
serves \`run\`, \`replay\` and \`inspect\`. \`doctor\` takes every option of \`run\`. A key that no command knows is an error.

On SIGHUP \`run\` reads the file again. Options marked *reloads* take effect while it runs, without loss. Other options that changed are named in a
warning and keep their values. An invalid file changes nothing ([operations.md](operations.md)).

\`\`\`yaml
# mirrorshard run --config mirrorshard.yaml
to: http://staging:8080
listen: ["0.0.0.0:4789", "geneve:0.0.0.0:6081"]
percent: 10
methods: [GET, HEAD]
max-body-bytes: 1MiB
request-timeout-ms: 30s
health: 0.0.0.0:8080
\`\`\`

\`mirrorshard validate --config FILE\` checks a file, and \`mirrorshard config schema\` prints its JSON Schema. Everything is checked
before anything starts, and all errors are reported at once. The exit code is 2 for the command line, 78 for file and environment.

**Values.** Sizes are bytes and take units of 1,024: \`65536\`, \`64k\`, \`64KB\`, \`64KiB\`, \`16MiB\`, \`1GB\`. Times are milliseconds and take units: \`250\`,
\`250ms\`, \`5s\`, \`2m\`, \`1h\`, \`1d\`. Lists are separated by commas, path patterns by spaces; list flags may be repeated. YAML takes the same text as
a flag (\`ports: 80,443\`), and lists as YAML writes them (\`ports: [80, 443]\`). Switches are \`true\` or \`false\` in YAML and environment, also \`yes\`, \`no\`, \`on\`, \`off\`,
\`1\` and \`0\`.

**Shards.** Limits for the whole process (\`--connections\`, \`--queue-requests\`, \`--queue-bytes\`, \`--max-flows\`, \`--connection-bytes\`, \`--message-bytes\`) are divided evenly among the
\`--workers\`; each gets at least 1. A limit per shard says so.

**Filters** are applied in the order of the command line. Equal filters side by side mean any of them: \`--allow-path ^/a --allow-path ^/b\`. In YAML they are a list:

\`\`\`text
pipeline:
  - allow-host: "*.example.com"
  - deny-path: ^/health
  - only-status: 5xx,404
\`\`\`

Two environment variables are not options:

- \`MIRRORSHARD_DEBUG=1\` prints the stack trace of an error that ends the process.
- \`MIRRORSHARD_FAULTS=1\` lets the admin server break threads on purpose, for fault tests: \`POST /debug/fault?shard=N&kind=throw|exit|oom|spin\` (or \`receiver=N\`).
  \`shard=N&kind=slow&us=M\` makes every packet of a shard take M microseconds longer; 0 ends that.
`

export function renderConfigurationDocs(): string {
  const sections = GROUPS.map((group) => {
    const rows = allOptions().flatMap(({ key, fields }) =>
      variants(fields.filter(([, field]) => field.group === group)).map(([commands, field]) =>
        row(key, field, commands),
      ),
    )
    const head = '| option | of | value | default | what it does |\n| --- | --- | --- | --- | --- |'
    return `## ${group}\n\n${head}\n${rows.join('\n')}\n`
  })
  return [INTRODUCTION, ...sections].join('\n')
}

/** The commands that say the same about an option share a row. */
function variants(fields: readonly (readonly [CommandName, Field])[]): [CommandName[], Field][] {
  const found: [CommandName[], Field][] = []
  for (const [command, field] of fields) {
    const same = found.find(([, other]) => other.defaultText === field.defaultText && other.help === field.help)
    if (same === undefined) found.push([[command], field])
    else same[0].push(command)
  }
  return found
}

function row(key: string, field: Field, commands: readonly CommandName[]): string {
  const variable = isVariable(field) ? `<br>\`${environmentName(key)}\`` : ''
  const flag = `\`--${flagName(key)}\`${variable}${field.reloads ? '<br>reloads' : ''}`
  const name =
    field.from === 'argument' ? `\`${field.value}...\`` : field.from === 'file' ? `\`${flagName(key)}:\`` : flag
  const value = isSwitch(field) ? 'switch' : field.kind.expected
  const byDefault = isSwitch(field) ? 'off' : field.defaultText === '' ? '(required)' : field.defaultText
  const meaning = field.reason === undefined ? field.help : `${field.help} *${field.reason}*`
  // Doctor has those of run: said once, above.
  const of = commands.includes('run') ? commands.filter((command) => command !== 'doctor') : commands
  const cells = [name, of.join(', '), value, byDefault, meaning]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync('docs/configuration.md', renderConfigurationDocs())
}
