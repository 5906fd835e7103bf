--@ base AS SELECT DISTINCT g.ru, g.org FROM l_grading g WHERE g.round = 'initial' AND g.final_grade = 'backward' AND BY(g.decided_on) AND NOT EXISTS (SELECT 1 FROM org_any o WHERE o.org = g.org AND o.org_status = 'dissolved' AND BY(o.status_on))
--@ plan AS SELECT r.*, CASE WHEN r.status IN ('accepted', 'rejected') AND AFTER(r.accepted_on) THEN CASE WHEN UNTIL(r.applied_on) THEN 'applied' ELSE 'in_progress' END WHEN r.status = 'applied' AND AFTER(r.applied_on) THEN 'in_progress' ELSE r.status END AS stands FROM l_rectification r JOIN base b ON b.org = r.org WHERE r.baseline_round = 'initial'
--@ made AS SELECT * FROM plan WHERE UNTIL(plan_approved_on)
--= 1 基期后进数: backward in the initial round, without the dissolved
SELECT ru, org, 1 AS v FROM base
--= 2 已制定对策数
SELECT ru, org, 1 AS v FROM made
--= 3 整改事项
SELECT i.ru, i.org, 1 AS v FROM l_rectification_items i JOIN base b ON b.org = i.org
--= 4 已销号
SELECT i.ru, i.org, 1 AS v FROM l_rectification_items i JOIN base b ON b.org = i.org WHERE i.status = 'verified' AND BY(i.verified_on)
--= 5 销号率 = 4 / 3
--= 6 整改中
SELECT ru, org, 1 AS v FROM made WHERE stands IN ('planned', 'in_progress', 'extended')
--= 7 申请验收
SELECT ru, org, 1 AS v FROM made WHERE stands = 'applied'
--= 8 验收不合格
SELECT ru, org, 1 AS v FROM made WHERE stands = 'rejected'
--= 9 已转化
SELECT ru, org, 1 AS v FROM made WHERE stands = 'accepted' AND new_grade IN ('average', 'advanced')
--= 10 转为一般
SELECT ru, org, 1 AS v FROM made WHERE stands = 'accepted' AND new_grade = 'average'
--= 11 转为先进
SELECT ru, org, 1 AS v FROM made WHERE stands = 'accepted' AND new_grade = 'advanced'
--= 12 转化率 = 9 / 1
--= 13 按期转化数
SELECT ru, org, 1 AS v FROM made WHERE stands = 'accepted' AND new_grade IN ('average', 'advanced')
  AND UNTIL(converted_on) AND converted_on <= $Y || '-10-20'
--= 14 按期转化率 = 13 / 1
--= x5 converted: accepted, and graded average or advanced in a later round
SELECT m.ru, m.org, 1 AS v FROM made m WHERE m.stands = 'accepted' AND EXISTS (SELECT 1 FROM l_grading g WHERE g.org = m.org
  AND g.round <> 'initial' AND g.final_grade IN ('average', 'advanced') AND BY(g.decided_on))
--= x6 the same in time
SELECT m.ru, m.org, 1 AS v FROM made m WHERE m.stands = 'accepted' AND EXISTS (SELECT 1 FROM l_grading g WHERE g.org = m.org
  AND g.round <> 'initial' AND g.final_grade IN ('average', 'advanced') AND BY(g.decided_on))
  AND UNTIL(m.converted_on) AND m.converted_on <= $Y || '-10-20'
--= 15 逾期未转化数
SELECT ru, org, 1 AS v FROM plan WHERE stands <> 'accepted' AND due_on <> '' AND due_on < $D
