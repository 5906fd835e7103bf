--@ due AS SELECT * FROM org WHERE established_on = '' OR established_on <= substr($CUTOFF, 1, length(established_on))
--@ graded AS SELECT g.*, d.ru AS due_ru FROM l_grading g JOIN due d ON d.org = g.org WHERE g.round = $ROUND AND g.final_grade <> '' AND BY(g.decided_on)
--@ checked AS SELECT a.* FROM l_five_good_assessment a JOIN due d ON d.org = a.org WHERE a.round = $ROUND AND BY(a.checked_on)
--@ moved AS SELECT *, CASE previous_grade WHEN 'advanced' THEN 3 WHEN 'average' THEN 2 WHEN 'backward' THEN 1 END AS was, CASE final_grade WHEN 'advanced' THEN 3 WHEN 'average' THEN 2 ELSE 1 END AS is_now FROM graded
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
--= 10 晋级数: derived from both grades; what is typed counts where the one before is not known
SELECT ru, org, 1 AS v FROM moved WHERE CASE WHEN was IS NULL THEN change = 'up' ELSE is_now > was END
--= 11 持平数
SELECT ru, org, 1 AS v FROM moved WHERE CASE WHEN was IS NULL THEN change = 'keep' ELSE is_now = was END
--= 12 降级数
SELECT ru, org, 1 AS v FROM moved WHERE CASE WHEN was IS NULL THEN change = 'down' ELSE is_now < was END
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
