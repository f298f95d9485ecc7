# What is run in the machine; the words are names of test files.
export HOME=/root DENO_DIR=/root/deno PATH=/usr/bin:/bin:/usr/sbin:/sbin NO_COLOR=1 CI=true ISM_SLOW=1
cd /ism || exit 1
uname -srvm
failed=0
[ $# -gt 0 ] || set -- programs reach same_calls driver languages sharing lines audit kills
for name; do
  echo "== $name"
  deno test --quiet --no-check -A "tests/exec/${name}_test.ts" || failed=1
done

# Yama: who may reach whom. Everybody is served at 0; one command always up to 1; two only by who may trace.
[ -e /proc/sys/kernel/yama/ptrace_scope ] || exit $failed
gcc -O1 -o /tmp/driver examples/drivers/c/ism.c
printf '#!/bin/sh\nexec deno run --quiet --no-prompt -A /ism/main.ts "$@"\n' >/tmp/ism
cat >/tmp/yama <<'END'
# yama WHAT CODE TEXT: what ends with an exit code and says something
cd "$(mktemp -d)" || exit 1
export ISM_HOST=$PWD/host.db PATH=/tmp:$PATH DENO_DIR=$PWD/deno
cp -r /root/deno "$DENO_DIR"
ism host create
case $1 in
  one) ism exec -- /tmp/driver 0001:00:00.0 ;;
  orphan) ism exec -- sh -c '(sleep 1; /tmp/driver 0001:00:00.0) & exit 0' ;;
  pair) ism exec -- /tmp/driver 0001:00:00.0 0x7429a3efbe812cbd : -d 1 /tmp/driver 0002:00:00.0 0x62441adacc2f9ccf ;;
  second)
    mkfifo hold
    ism exec -- cat <hold &
    exec 3>hold
    while [ ! -e host.db.exec/lock ]; do sleep 0.1; done
    ism exec -d 1 -- /tmp/driver 0002:00:00.0
    code=$?
    exec 3>&-
    wait
    exit $code
    ;;
esac
END
chmod 755 /root /tmp/ism /tmp/yama
yama() { # SCOPE USER WHAT CODE TEXT
  case $2 in
    root) who="setpriv" ;;
    bound) who="setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace" ;;
    nobody) who="setpriv --reuid 65534 --regid 65534 --clear-groups" ;;
  esac
  echo "$1" >/proc/sys/kernel/yama/ptrace_scope
  text=$($who /bin/sh /tmp/yama "$3" 2>&1)
  code=$?
  case "$code:$text" in
    "$4":*"$5"*) echo "yama $1 $2 $3: $code" ;;
    *) failed=1 && echo "yama $1 $2 $3: $code, not $4 and $5: $text" ;;
  esac
}
for what in one orphan pair; do yama 1 nobody $what 0 'data arrived'; done
yama 1 nobody second 126 'kernel.yama.ptrace_scope is 1'
yama 1 root second 0 'data arrived'
yama 1 bound second 126 'kernel.yama.ptrace_scope is 1'
yama 2 root one 0 'data arrived'
yama 2 nobody one 126 'root alone (CAP_SYS_PTRACE)'
# 3 stays until the machine ends.
yama 3 root one 126 'nobody until the next boot'
exit $failed
