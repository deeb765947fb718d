# The translator's host code as text files that show what a change did to it.

golden() {
    case ${1:-} in --update | "") ;; *) fail "golden takes nothing or --update" ;; esac
    steps 2
    step "Building"
    build_preset release touka_cpu_translator_test
    local program=build/release/bin/touka_cpu_translator_test
    if [ $# -eq 0 ]; then
        step "Comparing"
        show "$program" --gtest_brief=1 --gtest_filter='Golden/*'
    else
        step "Writing src/cpu/translator/golden/"
        TOUKA_GOLDEN_UPDATE=1 show "$program" --gtest_brief=1 --gtest_filter='Golden/*'
        git --no-pager diff --stat -- src/cpu/translator/golden
    fi
}
