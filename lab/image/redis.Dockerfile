# What the official image's configuration says, on a root file system that lab/rootfs.ts has packed.
ARG ROOTFS
FROM ${ROOTFS}
ARG VERSION
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    REDIS_VERSION=${VERSION}
VOLUME /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
EXPOSE 6379
