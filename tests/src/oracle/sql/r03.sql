--@ due AS SELECT * FROM org WHERE established_on = '' OR established_on <= substr($CUTOFF, 1, length(established_on))
--@ graded AS SELECT g.*, d.ru AS due_ru FROM l_grading g JOIN due d ON d.org = g.org WHERE g.round = $ROUND AND g.final_grade <> '' AND BY(g.decided_on)
--@ checked AS SELECT a.* FROM l_five_good_assessment a JOIN due d ON d.org = a.org WHERE a.round = $ROUND AND BY(a.checked_on)
--= 1 应定级数: active and established by the cut-off of the round
SELECT ru, org, 1 AS v FROM due
--= 2 已定级数: of these
SELECT ru, org, 1 AS v FROM graded
--= 3 完成率 = 2 / 1
--= 4 先进
SELECT ru, org, 1 AS v FROM graded WHERE final_grade = 'advanced'
--= 5 占比 = 4 / 2
--= 6 一般
SELECT ru, org, 1 AS v FROM graded WHERE final_grade = 'average'
--= 7 占比 = 6 / 2
--= 8 后进
SELECT ru, org, 1 AS v FROM graded WHERE final_grade = 'backward'
--= 9 占比 = 8 / 2
--= 10 晋级数
SELECT ru, org, 1 AS v FROM graded WHERE change = 'up'
--= 11 持平数
SELECT ru, org, 1 AS v FROM graded WHERE change = 'keep'
--= 12 降级数
SELECT ru, org, 1 AS v FROM graded WHERE change = 'down'
--= 13 基期非先进数: graded now, and average or backward before
SELECT ru, org, 1 AS v FROM graded WHERE previous_grade IN ('average', 'backward')
--= 14 晋级率 = 10 / 13
--= 15 自查: organisations, not rows
SELECT DISTINCT ru, org, 1 AS v FROM checked WHERE check_mode = 'self'
--= 16 互查
SELECT DISTINCT ru, org, 1 AS v FROM checked WHERE check_mode = 'mutual'
--= 17 督查
SELECT DISTINCT ru, org, 1 AS v FROM checked WHERE check_mode = 'supervisory'
--= x1 satisfied ballots
SELECT ru, org, ballots_satisfied + 0 AS v FROM checked
--= x2 valid ballots
SELECT ru, org, ballots_valid + 0 AS v FROM checked
--= 18 群众满意率: weighted by ballots = x1 / x2
