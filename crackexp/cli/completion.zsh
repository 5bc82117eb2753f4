# Completes command lines of crackexp in zsh: eval "$(crackexp --completion zsh)"
_crackexp() {
    local -a found described open closed
    found=("${(@f)$("${(Q)words[1]/#\~/$HOME}" --complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)}")
    found=(${found:#})
    if (( ! $#found )); then
        compset -P '*='
        _files
        return
    fi
    described=(${${(M)found:#*$'\t'*}/$'\t'/:})
    open=(${(M)found:#*[=.]})
    closed=(${${found:#*$'\t'*}:#*[=.]})
    (( $#described )) && _describe -t commands command described
    (( $#open )) && compadd -S '' -- $open
    (( $#closed )) && compadd -- $closed
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _crackexp crackexp
