# Completion of the command `coppice` for bash: subcommands, options, files, names of trees and paths of actors. Paths come
# from the tree itself, which has a second to answer.
_coppice_paths() {
    local tree=${1#/} text
    tree=${tree%%/*}
    local trees
    trees=$(for socket in "${COPPICE_RUN_DIR:-${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/coppice}}"/*.control.sock \
        "/tmp/coppice-$UID"/*.control.sock; do
        [[ -e $socket ]] && basename "$socket" .control.sock
    done)
    if [[ $1 != /*/* ]]; then
        printf '/%s\n' $trees
        return
    fi
    text=$(coppice tree --json --within 1 "$tree" 2>/dev/null) || return
    grep -o '"path":"[^"]*"' <<<"$text" | cut -d'"' -f4
}

_coppice() {
    local word=${COMP_WORDS[COMP_CWORD]} sub=${COMP_WORDS[1]}
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "check run tree top observe send ask receive publish log stop kill restart pause resume agent script rights broker version --help --version" -- "$word"))
    elif [[ $word == -* ]]; then
        local options="--help --within"
        case $sub in
        check) options+=" --json --program" ;;
        run) options="--help" ;;
        tree | ask) options+=" --json" ;;
        receive) options+=" --json --count --verbose --tree" ;;
        log) options+=" --json --count --verbose --level --set" ;;
        top) options+=" --count --every" ;;
        observe) options+=" --port --address --every --actions --token-file --actions-token-file --certificate --key" ;;
        publish) options+=" --tree" ;;
        script)
            if [[ ${COMP_WORDS[2]} == record ]]; then options+=" --output --count --for --no-pauses --verbose"
            else options+=" --tree --node --memory --instructions --module --supervised"; fi
            ;;
        rights) options+=" --file" ;;
        broker) options+=" --octopipes --cap --most-clients --queue-frames --queue-bytes --name --level" ;;
        agent) options+=" --parent --listen --allow --allow-env --allow-node --directory --most --secret-env --secret-file --hold-ms --level" ;;
        esac
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --level || ${COMP_WORDS[COMP_CWORD - 1]} == --set ]]; then
        COMPREPLY=($(compgen -W "trace debug info warn error off" -- "$word"))
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --program ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    elif [[ $sub == run && COMP_CWORD -gt 2 ]]; then
        COMPREPLY=($(compgen -W "schedulers= poll-us= log-level= log-levels= log-terminal= log-format= log-file= log-file-bytes= log-files=
            mailbox= offload-threads= listen= connect= children= parent= allow= secret-file= secret-env= hold-ms= linger-ms= shortcuts= control=" \
            -- "$word"))
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --allow || ${COMP_WORDS[COMP_CWORD - 1]} == --*-file || ${COMP_WORDS[COMP_CWORD - 1]} == --certificate || ${COMP_WORDS[COMP_CWORD - 1]} == --key ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --directory ]]; then
        COMPREPLY=($(compgen -d -- "$word"))
    elif [[ $sub == script && ${COMP_WORDS[2]} == record && COMP_CWORD -eq 3 ]]; then
        COMPREPLY=($(compgen -W "$(_coppice_paths "$word")" -- "$word"))
    elif [[ $sub == script && COMP_CWORD -gt 2 ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    elif ((COMP_CWORD == 2)); then
        case $sub in
        script) COMPREPLY=($(compgen -W "run record" -- "$word")) ;;
        rights) COMPREPLY=($(compgen -W "explain" -- "$word")) ;;
        check | run) COMPREPLY=($(compgen -f -X '!*.toml' -- "$word") $(compgen -d -- "$word")) ;;
        send | ask | log | stop | kill | restart | pause | resume) COMPREPLY=($(compgen -W "$(_coppice_paths "$word")" -- "$word")) ;;
        tree | top | observe) COMPREPLY=($(compgen -W "$(_coppice_paths / | tr -d /)" -- "$word")) ;;
        esac
    fi
}
complete -F _coppice coppice
