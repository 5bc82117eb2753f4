# Completes command lines of crackexp in bash: eval "$(crackexp --completion bash)"
_crackexp() {
    local line=${COMP_LINE:0:COMP_POINT} words word found
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    mapfile -t found < <("${1/#\~/$HOME}" --complete "${words[@]:1}" 2> /dev/null)
    found=("${found[@]%%$'\t'*}")
    # bash replaces only what follows the last of these characters
    COMPREPLY=("${found[@]#"${word%"${word##*[$COMP_WORDBREAKS]}"}"}")
    [[ ${#found[@]} -gt 0 && ${found[0]} == *[=.] ]] && compopt -o nospace
    return 0
}
complete -o default -F _crackexp crackexp
