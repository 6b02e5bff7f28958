import type { ContainerRuntimeClient } from 'testcontainers'

/** Testcontainers' own client of the engine; its package is not a dependency of ours. */
export type Dockerode = ContainerRuntimeClient['container']['dockerode']
export type Container = ReturnType<Dockerode['getContainer']>
