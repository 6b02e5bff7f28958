import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync, zstdCompressSync } from 'node:zlib'

import type { Docker } from './docker-command.ts'

export interface Claim {
  readonly title: string
  check(docker: Docker): Promise<void>
}

const POSTGRES = 'postgres:18-alpine'
const PGVECTOR = 'pgvector/pgvector:pg18'
const REDIS = 'redis:8-alpine'
/** The environment of most claims: a password, and durability off. */
const QUICK = ['-e', 'POSTGRES_PASSWORD=secret', '-e', 'POSTGRES_INITDB_ARGS=--no-sync']

interface ImageConfig {
  readonly Env: readonly string[]
  readonly Cmd: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Volumes: Readonly<Record<string, unknown>>
  readonly ExposedPorts: Readonly<Record<string, unknown>>
  readonly Labels: Readonly<Record<string, string>>
  readonly StopSignal?: string
  readonly Healthcheck?: unknown
  readonly WorkingDir?: string
}

const IMAGE_CLAIMS: readonly Claim[] = [
  {
    title: 'postgres image: settings of the official one',
    async check(docker) {
      const config = await docker.inspect<ImageConfig>(POSTGRES, '.Config')
      assert.deepEqual(config.Volumes, { '/var/lib/postgresql': {} })
      assert.deepEqual(config.ExposedPorts, { '5432/tcp': {} })
      assert.deepEqual([...config.Entrypoint, ...config.Cmd], ['docker-entrypoint.sh', 'postgres'])
      assert.equal(config.StopSignal, 'SIGINT')
      assert.equal(config.Healthcheck, undefined)
      for (const entry of ['PG_MAJOR=18', 'LANG=en_US.utf8', 'PGDATA=/var/lib/postgresql/18/docker'])
        assert.ok(config.Env.includes(entry), entry)
      assert.match(config.Env.find((entry) => entry.startsWith('PG_VERSION=')) ?? '', /=18\.\d+$/)
    },
  },
  {
    title: 'redis image: settings of the official one',
    async check(docker) {
      const config = await docker.inspect<ImageConfig>(REDIS, '.Config')
      assert.deepEqual(config.Volumes, { '/data': {} })
      assert.deepEqual(config.ExposedPorts, { '6379/tcp': {} })
      assert.deepEqual([...config.Entrypoint, ...config.Cmd], ['docker-entrypoint.sh', 'redis-server'])
      assert.equal(config.WorkingDir, '/data')
      assert.equal(config.Healthcheck, undefined)
      assert.match(config.Env.find((entry) => entry.startsWith('REDIS_VERSION=')) ?? '', /=8\./)
    },
  },
  ...[POSTGRES, REDIS, PGVECTOR].map((image): Claim => ({
    title: `${image}: labels say that it is a stand-in, and of which version`,
    async check(docker) {
      const { Labels } = await docker.inspect<ImageConfig>(image, '.Config')
      assert.equal(Labels['vitest-infra.stand-in'], 'true')
      assert.match(Labels['org.opencontainers.image.title'] ?? '', /stand-in/)
      assert.match(
        Labels['org.opencontainers.image.description'] ?? '',
        /stand-in.*Debian packages.*vitest-infra's lab/,
      )
      const { text } = await docker.run(
        'run',
        '--rm',
        image,
        image === REDIS ? 'redis-server' : 'postgres',
        '--version',
      )
      assert.ok(text.includes(Labels['org.opencontainers.image.version'] ?? '?'), text)
    },
  })),
  ...[POSTGRES, REDIS].map((image): Claim => ({
    title: `${image}: busybox is the userland; what Alpine's image must not be relied on for is not there`,
    async check(docker) {
      const script = `for name in sh cat find sed awk chown mktemp; do readlink -f "$(command -v $name)"; done
        for name in bash setpriv perl apt-get dpkg python3 su-exec; do command -v $name; done; exit 0`
      const { text } = await docker.run('run', '--rm', image, 'sh', '-c', script)
      assert.deepEqual(
        text.trim().split('\n'),
        Array.from({ length: 7 }, () => '/usr/bin/busybox'),
      )
    },
  })),
]

const POSTGRES_CLAIMS: readonly Claim[] = [
  {
    title: 'postgres: without a password it ends with 1 and says which variable is missing',
    async check(docker) {
      const { code, text } = await docker.run('run', '--rm', POSTGRES)
      assert.equal(code, 1)
      assert.match(text, /POSTGRES_PASSWORD/)
    },
  },
  {
    title: 'postgres: user, database and password are the given ones, and the network needs the password',
    async check(docker) {
      const container = await docker.startPostgres(
        '-e',
        'POSTGRES_USER=app',
        '-e',
        "POSTGRES_PASSWORD=it's",
        '-e',
        'POSTGRES_DB=my-db',
        POSTGRES,
      )
      const ask = (password: string): Promise<{ code: number; text: string }> =>
        docker.run(
          'exec',
          '-e',
          `PGPASSWORD=${password}`,
          container,
          'sh',
          '-c',
          'psql -wXAtq -h "$(hostname -i)" -U app -d my-db -c "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"',
        )
      assert.deepEqual(await ask("it's"), { code: 0, text: 'app|t\n' })
      assert.match((await ask('wrong')).text, /password authentication failed/)
      assert.equal(
        await docker.query(
          container,
          "SELECT count(*) FROM pg_database WHERE datname = 'postgres'",
          '-U',
          'app',
          '-d',
          'postgres',
        ),
        '1',
      )
      assert.match(
        await docker.exec(container, 'sh', '-c', 'tail -n 1 $PGDATA/pg_hba.conf'),
        /^host all all all scram-sha-256$/,
      )
    },
  },
  {
    title: 'postgres: the database has the name of the user unless it is given',
    async check(docker) {
      const container = await docker.startPostgres(...QUICK, '-e', 'POSTGRES_USER=app', POSTGRES)
      assert.equal(await docker.query(container, 'SELECT current_database()', '-U', 'app'), 'app')
    },
  },
  {
    title: 'postgres: POSTGRES_HOST_AUTH_METHOD=trust needs no password',
    async check(docker) {
      const container = await docker.startPostgres('-e', 'POSTGRES_HOST_AUTH_METHOD=trust', POSTGRES)
      await docker.exec(container, 'sh', '-c', 'psql -w -h "$(hostname -i)" -U postgres -c "SELECT 1"')
    },
  },
  {
    title: 'postgres: variables can come from files, but not from both',
    async check(docker) {
      const folder = await docker.folder({ password: 'from a file\n', user: 'filed\n' })
      const files = [
        '-v',
        `${folder}:/secrets:ro`,
        '-e',
        'POSTGRES_PASSWORD_FILE=/secrets/password',
        '-e',
        'POSTGRES_USER_FILE=/secrets/user',
      ]
      const container = await docker.startPostgres(...files, POSTGRES)
      await docker.exec(
        container,
        'sh',
        '-c',
        'PGPASSWORD="from a file" psql -w -h "$(hostname -i)" -U filed -c "SELECT 1"',
      )
      const { code, text } = await docker.run('run', '--rm', ...files, '-e', 'POSTGRES_PASSWORD=x', POSTGRES)
      assert.equal(code, 1)
      assert.match(text, /both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE/)
    },
  },
  {
    title: 'postgres: init files of every kind run once, in the order of their names, in the right database',
    async check(docker) {
      const init = await docker.folder({
        '10-table.sql': 'CREATE TABLE steps (id serial, name text);\n',
        '20-executed.sh!': `#!/bin/sh\npsql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "${step('executed').trim()}"\n`,
        '30-sourced.sh': `docker_process_sql -c "${step('sourced').trim()}"\nunset undefined; echo "$undefined"\n`,
        '40-gz.sql.gz': gzipSync(step('gz')),
        '50-zst.sql.zst': zstdCompressSync(step('zst')),
        'B.sql': step('B'),
        'a.sql': step('a'),
        'readme.txt': 'not for the server',
      })
      const container = await docker.startPostgres(
        ...QUICK,
        '-e',
        'POSTGRES_DB=shop',
        '-v',
        `${init}:/docker-entrypoint-initdb.d:ro`,
        POSTGRES,
      )
      const steps = "SELECT string_agg(name, ',' ORDER BY id) FROM steps"
      assert.equal(await docker.query(container, steps, '-d', 'shop'), 'executed,sourced,gz,zst,B,a')
      assert.match(await docker.logs(container), /ignoring \/docker-entrypoint-initdb\.d\/readme\.txt/)
      await docker.exec(container, 'true')
      await docker.run('restart', container)
      await docker.exec(container, 'sh', '-c', 'until pg_isready -q; do sleep 0.1; done')
      assert.equal(await docker.query(container, steps, '-d', 'shop'), 'executed,sourced,gz,zst,B,a')
      assert.match(await docker.logs(container), /Skipping initialization/)
    },
  },
  {
    title: 'postgres: .sql.xz is read as well',
    async check(docker) {
      const xz = Buffer.from(
        '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAUQ1JFQVRFIFRBQkxFIHh6ICggICk7AAAAAF0BD59ejQXsAAEtFS8LcW0ftvN9AQAAAAAEWVo=',
        'base64',
      )
      const init = await docker.folder({ 'x.sql.xz': xz })
      const container = await docker.startPostgres(...QUICK, '-v', `${init}:/docker-entrypoint-initdb.d:ro`, POSTGRES)
      assert.equal(await docker.query(container, "SELECT to_regclass('xz')"), 'xz')
    },
  },
  {
    title: 'postgres: the first server listens on the socket only, the second one on all addresses',
    async check(docker) {
      const init = await docker.folder({
        'see.sh!': '#!/bin/sh\npg_isready -h 127.0.0.1 && echo SEEN-TCP\npg_isready && echo SEEN-SOCKET\nexit 0\n',
      })
      const container = await docker.startPostgres(...QUICK, '-v', `${init}:/docker-entrypoint-initdb.d:ro`, POSTGRES)
      const log = await docker.logs(container)
      assert.match(log, /SEEN-SOCKET/)
      assert.doesNotMatch(log, /SEEN-TCP/)
      assert.equal(log.match(/ready to accept connections/g)?.length, 2)
      assert.match(log, /PostgreSQL init process complete; ready for start up\./)
      assert.equal(await docker.query(container, 'SHOW listen_addresses'), '*')
    },
  },
  {
    title: 'postgres: a failing init file ends the container, with the reason in its log',
    async check(docker) {
      const init = await docker.folder({ 'bad.sql': 'SELECT 1;\nSELECT nonsense;\n' })
      const container = await docker.start(...QUICK, '-v', `${init}:/docker-entrypoint-initdb.d:ro`, POSTGRES)
      assert.notEqual(await docker.wait(container), 0)
      assert.match(await docker.logs(container), /bad\.sql:2: ERROR: .*nonsense/)
    },
  },
  {
    title: 'postgres: a failing compressed init file ends the container',
    async check(docker) {
      const init = await docker.folder({ 'bad.sql.gz': 'this is no gzip' })
      const container = await docker.start(...QUICK, '-v', `${init}:/docker-entrypoint-initdb.d:ro`, POSTGRES)
      assert.notEqual(await docker.wait(container), 0)
    },
  },
  {
    title: 'postgres: POSTGRES_INITDB_ARGS is split like a command line, POSTGRES_INITDB_WALDIR is used',
    async check(docker) {
      const args = "--no-sync --no-data-checksums --encoding='SQL_ASCII' --locale=C"
      const container = await docker.startPostgres(
        '-e',
        'POSTGRES_PASSWORD=x',
        '-e',
        `POSTGRES_INITDB_ARGS=${args}`,
        '-e',
        'POSTGRES_INITDB_WALDIR=/wal files',
        '--tmpfs',
        '/wal files',
        POSTGRES,
      )
      assert.equal(await docker.query(container, 'SHOW data_checksums'), 'off')
      assert.equal(await docker.query(container, 'SHOW server_encoding'), 'SQL_ASCII')
      assert.equal(await docker.exec(container, 'sh', '-c', 'readlink $PGDATA/pg_wal'), '/wal files')
    },
  },
  {
    title: 'postgres: flags alone, and flags after "postgres", reach the server; so do quotes and blanks',
    async check(docker) {
      const flags = await docker.startPostgres(
        ...QUICK,
        POSTGRES,
        '-c',
        'max_connections=17',
        '-c',
        `search_path="it's a", public`,
      )
      assert.equal(await docker.query(flags, 'SHOW max_connections'), '17')
      assert.equal(await docker.query(flags, 'SHOW search_path'), `"it's a", public`)
      assert.match(
        await docker.exec(flags, 'sh', '-c', String.raw`tr '\0' ' ' </proc/1/cmdline`),
        /^postgres -c max_connections=17/,
      )
      const whole = await docker.startPostgres(...QUICK, POSTGRES, 'postgres', '-c', 'max_connections=18')
      assert.equal(await docker.query(whole, 'SHOW max_connections'), '18')
    },
  },
  {
    title: 'postgres: any other command runs as it is, and asking for the version needs no password',
    async check(docker) {
      assert.deepEqual(await docker.run('run', '--rm', POSTGRES, 'echo', 'a  b'), { code: 0, text: 'a  b\n' })
      assert.match((await docker.run('run', '--rm', POSTGRES, '--version')).text, /^postgres \(PostgreSQL\) 18\./)
    },
  },
  {
    title: 'postgres: the server is process 1, as user postgres with the ids 70',
    async check(docker) {
      const container = await docker.startPostgres(...QUICK, POSTGRES)
      assert.equal(await docker.exec(container, 'sh', '-c', "awk '/^[UG]id/ {print $2}' /proc/1/status"), '70\n70')
      assert.equal(
        await docker.exec(container, 'sh', '-c', 'stat -c "%u:%g %a" /var/lib/postgresql /var/run/postgresql $PGDATA'),
        '70:70 1777\n70:70 3775\n70:0 700',
      )
      assert.equal(await docker.exec(container, 'gosu', 'postgres', 'id', '-u'), '70')
    },
  },
  {
    title: 'postgres: --user postgres and --user of an id without a name work, also on tmpfs',
    async check(docker) {
      const named = await docker.startPostgres(...QUICK, '--user', 'postgres', POSTGRES)
      assert.equal(await docker.query(named, 'SELECT 1'), '1')
      const unnamed = await docker.startPostgres(
        ...QUICK,
        '--user',
        '1234:1234',
        '--tmpfs',
        '/var/lib/postgresql:mode=1777',
        POSTGRES,
      )
      assert.equal(await docker.query(unnamed, 'SELECT 1'), '1')
    },
  },
  {
    title: 'postgres: data on a tmpfs at the volume, and at PGDATA',
    async check(docker) {
      for (const path of ['/var/lib/postgresql', '/var/lib/postgresql/18/docker']) {
        const container = await docker.startPostgres(...QUICK, '--tmpfs', path, POSTGRES)
        assert.equal(await docker.query(container, 'SHOW data_directory'), '/var/lib/postgresql/18/docker')
      }
    },
  },
  {
    title: 'postgres: a mount in the place of versions before 18 is refused',
    async check(docker) {
      const { code, text } = await docker.run('run', '--rm', ...QUICK, '--tmpfs', '/var/lib/postgresql/data', POSTGRES)
      assert.equal(code, 1)
      assert.match(text, /\/var\/lib\/postgresql\/data \(unused mount\/volume\)/)
    },
  },
  {
    title: 'postgres: data of a run is used by the next one with the same volume, without a password',
    async check(docker) {
      const first = await docker.startPostgres(...QUICK, POSTGRES)
      await docker.query(first, 'CREATE TABLE kept ()')
      await docker.run('stop', first)
      const second = await docker.startPostgres('--volumes-from', first, POSTGRES)
      assert.equal(await docker.query(second, "SELECT to_regclass('kept')"), 'kept')
    },
  },
  {
    title: 'postgres: docker stop ends it by a fast shutdown, with 0',
    async check(docker) {
      const container = await docker.startPostgres(...QUICK, POSTGRES)
      await docker.run('stop', container)
      assert.equal(await docker.wait(container), 0)
      assert.match(await docker.logs(container), /received fast shutdown request[^]*database system is shut down\s*$/)
    },
  },
  {
    title: 'postgres: an exec whose input ends can stop it (the lifeline)',
    async check(docker) {
      const container = await docker.startPostgres(...QUICK, POSTGRES)
      await docker.run('exec', '-i', container, 'sh', '-c', 'cat >/dev/null; kill -INT 1')
      assert.equal(await docker.wait(container), 0)
    },
  },
  {
    title: 'postgres: the programs of the official image are in PATH',
    async check(docker) {
      const programs =
        'psql pg_isready initdb pg_basebackup pg_ctl pg_dump pg_restore createdb dropdb pgbench pg_controldata zstd gosu'
      await docker
        .run(
          'run',
          '--rm',
          POSTGRES,
          'sh',
          '-c',
          `for name in ${programs}; do $name --version >/dev/null || exit 1; done`,
        )
        .then(({ code, text }) => assert.equal(code, 0, text))
    },
  },
  {
    title: 'postgres: text sorts as on Alpine, time zones and ICU are there, contrib extensions load',
    async check(docker) {
      const container = await docker.startPostgres(...QUICK, POSTGRES)
      assert.equal(
        await docker.query(container, "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['b','ä','B','a','Z']) t"),
        'BZabä',
      )
      assert.equal(
        await docker.query(
          container,
          "SELECT upper('ä'), datcollate, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'postgres'",
        ),
        'Ä|en_US.utf8|UTF8',
      )
      assert.equal(
        await docker.query(container, "SELECT '2026-01-01 12:00+00'::timestamptz AT TIME ZONE 'Europe/Berlin'"),
        '2026-01-01 13:00:00',
      )
      assert.equal(await docker.query(container, `SELECT 'a' < 'B' COLLATE "en-x-icu"`), 't')
      const extensions = [
        'pgcrypto',
        'uuid-ossp',
        'citext',
        'hstore',
        'pg_trgm',
        'ltree',
        'btree_gin',
        'btree_gist',
        'pg_stat_statements',
        'unaccent',
        'xml2',
        'postgres_fdw',
      ]
      await docker.query(container, extensions.map((name) => `CREATE EXTENSION "${name}";`).join(' '))
    },
  },
  {
    title: 'pgvector: the extension is in its image, and only there',
    async check(docker) {
      const container = await docker.startPostgres(...QUICK, PGVECTOR)
      assert.equal(await docker.query(container, "CREATE EXTENSION vector; SELECT '[0,3]'::vector <-> '[4,0]'"), '5')
      const plain = await docker.startPostgres(...QUICK, POSTGRES)
      assert.equal(await docker.query(plain, "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"), '0')
    },
  },
]

const REDIS_CLAIMS: readonly Claim[] = [
  {
    title: 'redis: no argument starts the server, as user redis with the id 999, with the usual snapshots',
    async check(docker) {
      const container = await startRedis(docker, REDIS)
      assert.equal(await docker.exec(container, 'sh', '-c', "awk '/^[UG]id/ {print $2}' /proc/1/status"), '999\n1000')
      assert.equal(await docker.exec(container, 'redis-cli', 'config', 'get', 'save'), 'save\n3600 1 300 100 60 10000')
      assert.match(await docker.exec(container, 'redis-cli', 'info', 'server'), /redis_version:8\./)
    },
  },
  {
    title: 'redis: flags alone reach the server',
    async check(docker) {
      const container = await startRedis(docker, REDIS, '--maxmemory', '64mb', '--save', '')
      assert.equal(await docker.exec(container, 'redis-cli', 'config', 'get', 'maxmemory'), 'maxmemory\n67108864')
      assert.equal(await docker.exec(container, 'redis-cli', 'config', 'get', 'save'), 'save')
    },
  },
  {
    title: 'redis: a configuration file is read, with flags behind it, and what it says about protected mode stands',
    async check(docker) {
      const folder = await docker.folder({ 'a.conf': 'maxmemory 32mb\n', 'b.conf': 'protected-mode yes\n' })
      const mount = ['-v', `${folder}:/conf:ro`, REDIS]
      const container = await startRedis(docker, ...mount, '/conf/a.conf', '--databases', '3')
      assert.equal(await docker.exec(container, 'redis-cli', 'config', 'get', 'maxmemory'), 'maxmemory\n33554432')
      assert.equal(await docker.exec(container, 'redis-cli', 'config', 'get', 'databases'), 'databases\n3')
      assert.equal(await docker.exec(container, 'redis-cli', 'config', 'get', 'protected-mode'), 'protected-mode\nno')
      const guarded = await startRedis(docker, ...mount, 'redis-server', '/conf/b.conf')
      assert.equal(await docker.exec(guarded, 'redis-cli', 'config', 'get', 'protected-mode'), 'protected-mode\nyes')
    },
  },
  {
    title:
      'redis: each module in the folder of modules is loaded by an argument of the entrypoint, behind the given ones',
    async check(docker) {
      const folder = await docker.folder({
        'a.so!': 'no module',
        'b.so!': 'nor this',
        'empty.so!': '',
        'not-executable.so': 'no',
      })
      const mount = ['-v', `${folder}:/usr/local/lib/redis/modules:ro`]
      const shown = ['-v', `${await docker.folder({ 'redis-server!': '#!/bin/sh\necho "$@"\n' })}:/usr/local/sbin:ro`]
      const run = (...args: string[]) => docker.run('run', '--rm', ...mount, ...shown, REDIS, ...args)
      const modules = '--loadmodule /usr/local/lib/redis/modules/a.so --loadmodule /usr/local/lib/redis/modules/b.so'
      assert.deepEqual(await run('--port', '7000'), { code: 0, text: `--port 7000 ${modules}\n` })
      assert.deepEqual(await run(), { code: 0, text: `${modules}\n` })
      assert.equal((await run('redis-cli', '--version')).code, 0)
      // The calling process does not get them.
      assert.deepEqual(await docker.run('run', '--rm', ...mount, ...shown, REDIS, 'sh', '-c', 'redis-server'), {
        code: 0,
        text: '\n',
      })
    },
  },
  {
    title: 'redis: other commands run as they are',
    async check(docker) {
      assert.deepEqual(await docker.run('run', '--rm', REDIS, 'echo', 'a  b'), { code: 0, text: 'a  b\n' })
      assert.match((await docker.run('run', '--rm', REDIS, 'redis-cli', '--version')).text, /^redis-cli 8\./)
    },
  },
  {
    title: 'redis: servers in the container, also ones that exec started, answer other hosts',
    async check(docker) {
      const container = await startRedis(docker, REDIS)
      await docker.exec(container, 'redis-server', '--port', '7000', '--daemonize', 'yes', '--save', '')
      for (const port of ['6379', '7000']) {
        const ping = `until redis-cli -h "$(hostname -i)" -p ${port} ping; do sleep 0.1; done`
        assert.match(await docker.exec(container, 'sh', '-c', ping), /PONG$/)
      }
    },
  },
  {
    title: 'redis: docker stop saves and ends it with 0; the next one with the volume has the keys',
    async check(docker) {
      const first = await startRedis(docker, REDIS)
      await docker.exec(first, 'redis-cli', 'set', 'kept', 'yes')
      await docker.run('stop', first)
      assert.equal(await docker.wait(first), 0)
      const second = await startRedis(docker, '--volumes-from', first, REDIS)
      assert.equal(await docker.exec(second, 'redis-cli', 'get', 'kept'), 'yes')
    },
  },
  {
    title: "redis: a data folder of root becomes the server's, and --user redis works",
    async check(docker) {
      const container = await startRedis(docker, '--tmpfs', '/data:uid=0,mode=755', REDIS)
      assert.equal(await docker.exec(container, 'redis-cli', 'save'), 'OK')
      const named = await startRedis(docker, '--user', 'redis', REDIS)
      assert.equal(await docker.exec(named, 'redis-cli', 'save'), 'OK')
    },
  },
]

const ENGINE_CLAIMS: readonly Claim[] = [
  {
    title: 'engine: a port published on 127.0.0.1 is reached from this machine',
    async check(docker) {
      const container = await startRedis(docker, '-p', '127.0.0.1::6379', REDIS)
      const ports = await docker.inspect<Record<string, { HostIp: string; HostPort: string }[]>>(
        container,
        '.NetworkSettings.Ports',
      )
      const { HostIp, HostPort } = ports['6379/tcp']?.[0] ?? { HostIp: '', HostPort: '0' }
      assert.equal(HostIp, '127.0.0.1')
      const socket = connect(Number(HostPort), HostIp)
      socket.write('PING\r\n')
      const [answer] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      assert.equal(answer.toString(), '+PONG\r\n')
    },
  },
  {
    title: 'engine: containers of one network find each other by name',
    async check(docker) {
      const network = `vitest-infra-images-test-${process.pid}`
      await docker.run('network', 'create', network)
      try {
        const server = await startRedis(docker, '--network', network, '--network-alias', 'cache', REDIS)
        const { text } = await docker.run(
          'run',
          '--rm',
          '--network',
          network,
          REDIS,
          'redis-cli',
          '-h',
          'cache',
          'ping',
        )
        assert.equal(text, 'PONG\n')
        await docker.run('rm', '--force', '--volumes', server)
      } finally {
        await docker.run('network', 'rm', network)
      }
    },
  },
  {
    title: 'engine: docker compose brings a project up, healthy, and down',
    async check(docker) {
      const folder = await docker.folder({
        'compose.yaml': `services:
  cache:
    image: ${REDIS}
    healthcheck: { test: [CMD, redis-cli, ping], interval: 1s, timeout: 1s, retries: 10 }
    ports: ['127.0.0.1::6379']
`,
      })
      const project = ['compose', '-p', `lab-check-${process.pid}`, '-f', `${folder}/compose.yaml`]
      const up = await docker.run(...project, 'up', '--detach', '--wait')
      const down = await docker.run(...project, 'down', '--volumes')
      assert.equal(up.code, 0, up.text)
      assert.equal(down.code, 0, down.text)
    },
  },
]

export const CLAIMS: readonly Claim[] = [...IMAGE_CLAIMS, ...POSTGRES_CLAIMS, ...REDIS_CLAIMS, ...ENGINE_CLAIMS]

function step(name: string): string {
  return `INSERT INTO steps (name) VALUES ('${name}');\n`
}

async function startRedis(docker: Docker, ...args: string[]): Promise<string> {
  const container = await docker.start(...args)
  await docker.exec(
    container,
    'sh',
    '-c',
    'for try in $(seq 100); do redis-cli ping >/dev/null && exit; sleep 0.1; done; exit 1',
  )
  return container
}
